import { encodeForPrintf, quote } from '../ssh/shell.ts';
import type { Query } from './driver.ts';
import type { Section } from './frame.ts';
import ownShell from './own.sh';
import { complete, withoutComments } from './script.ts';
import verificationShell from './verification.sh';

/** Unit files that belong together, and those among them that are to be checked. */
export type VerifyRequest = {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly units: readonly string[];
};

/**
 * What systemd there has against unit files that are not there yet, a line each. They are put into a folder of their own for
 * that, which is gone afterwards. The texts of units may hold what others on the machine must not see.
 */
export function verifyQuery(request: VerifyRequest): Query<readonly string[], 'verification', VerifyRequest> {
  const { files, units } = request;
  const script = complete('verification', [
    'step stage stage || return',
    ...files.map(({ name, text }) => `printf '%b' ${encodeForPrintf(text)} >"$V"/${quote(name)}`),
    `section verify analyze ${units.map((unit) => quote(`./${unit}`)).join(' ')}`,
    'rm -rf "$V"',
  ]);
  return {
    kind: 'verification',
    request,
    script: withoutComments(ownShell + verificationShell) + script,
    read: (sections) => readVerification(request, sections),
  };
}

/**
 * What systemd has against the units, a line each; none when they pass. Since version 250 its exit status counts
 * warnings (`--recursive-errors=`); before that, what it says about one of the files counts.
 */
export function readVerification({ files }: VerifyRequest, sections: readonly Section[]): readonly string[] {
  const stage = sections.find(({ name }) => name === 'stage');
  const verify = sections.find(({ name }) => name === 'verify');
  if (verify === undefined) return [stage?.stderr || 'the unit files could not be put there'];
  const said = verify.stderr
    .split('\n')
    .map((line) => line.split(' ').map(withoutFolder).join(' ').trim())
    // Before version 213 systemd did not know that sections in X- are not for it.
    .filter((line) => line !== '' && !/Unknown section '?X-Fleet/.test(line));
  const ours = said.filter((line) => files.some(({ name }) => line.includes(name)));
  if (verify.status === 0) return Number(verify.stdout) >= 250 ? [] : [...new Set(ours)];
  const told = ours.length > 0 ? ours : said;
  return told.length > 0 ? [...new Set(told)] : [`systemd-analyze ended with status ${verify.status}`];
}

/** A word without the folder that the files were in. */
function withoutFolder(word: string): string {
  const [folder] = /\/verify\.[A-Za-z0-9]+\//.exec(word) ?? [];
  if (folder === undefined) return word;
  const end = word.lastIndexOf(folder) + folder.length;
  return word.slice(0, word.indexOf('/')) + word.slice(end);
}
