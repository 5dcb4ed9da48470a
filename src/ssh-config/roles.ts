import { isIP } from 'node:net';
import { ONLY_OPENSSH } from './criteria.ts';
import type { Evaluated, Setting, Settings } from './evaluate.ts';
import { keywordOf } from './keywords.ts';
import { refused } from './settings.ts';

/** Values with which an unsupported keyword has no effect. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  connectionattempts: ['1'],
  securitykeyprovider: ['internal'],
};

/** Throws `config` for the first unsupported line that changes how or which host is reached. */
export function refuseUnsupported({ host, settings }: Evaluated): void {
  for (const [name, [setting]] of settings) {
    if (setting === undefined || keywordOf(name)?.role !== 'unsupported' || isHarmless(name, setting))
      continue;
    if (name === 'canonicalizehostname' && !searchesDomains(host, settings)) continue;
    if (name === 'proxyusefdpass' && !settings.has('proxycommand')) continue;
    if (name === 'refuseconnection') throw refused(name, setting, `forbids it: ${setting.values[0]}`);
    throw refused(name, setting, `is not supported: ${setting.values.join(' ')}`, ONLY_OPENSSH);
  }
}

/** A message for every line that applies and is ignored, or has a different effect than in ssh. */
export function notesOf(settings: Settings): readonly string[] {
  const notes: string[] = [];
  const note = (name: string, setting: Setting, what: string): void => {
    if (setting.place !== undefined) notes.push(refused(name, setting, what).message);
  };
  for (const [name, [setting]] of settings) {
    if (setting === undefined) continue;
    const [value = ''] = setting.values;
    if (keywordOf(name)?.role === 'ignored' && !isHarmless(name, setting)) note(name, setting, 'is ignored');
    if (name === 'localcommand' && settings.get('permitlocalcommand')?.[0]?.values[0] !== 'yes') notes.pop();
    if (name === 'stricthostkeychecking' && value === 'off')
      note(name, setting, 'is treated as accept-new: host keys are always verified');
    if (name === 'userknownhostsfile' && /^(?:none|\/dev\/null)$/i.test(value))
      note(name, setting, "stores no keys: new host keys are stored in fleet's own file");
    if (name === 'forwardagent' && !/^(?:yes|no|true|false)$/i.test(value))
      note(name, setting, 'names another agent, so no agent is forwarded');
  }
  return notes;
}

function isHarmless(name: string, { values: [value = ''] }: Setting): boolean {
  return ['no', 'none', ''].includes(value.toLowerCase()) || (HARMLESS[name]?.includes(value) ?? false);
}

/** Whether a name is looked up in CanonicalDomains (ssh_config(5), CanonicalizeHostname). */
function searchesDomains(host: string, settings: Settings): boolean {
  const first = (name: string): string | undefined => settings.get(name)?.[0]?.values[0];
  const domains = first('canonicaldomains') ?? 'none';
  const mostDots = Number(first('canonicalizemaxdots') ?? 1);
  const isDirect = !settings.has('proxycommand') && !settings.has('proxyjump');
  const applies = isDirect || first('canonicalizehostname') === 'always';
  return applies && domains !== 'none' && isIP(host) === 0 && host.split('.').length - 1 <= mostDots;
}
