import * as read from './values.ts';

/** A keyword of ssh_config(5). */
export type Keyword = {
  /** In lower case. Several spellings can share a name. */
  readonly name: string;
  readonly read: read.ReadValue;
  /** Whether later lines add to the first one that applies; for other keywords they are ignored. */
  readonly adds: boolean;
  /**
   * Its role in fleet. `used`; `idle`: it has no effect on commands on machines; `ignored`: reported by -v;
   * `unsupported`: an error, because it changes how a machine is reached.
   */
  readonly role: 'used' | 'idle' | 'ignored' | 'unsupported';
};

/** The keyword of a name in lower case; undefined if ssh_config(5) does not have it. */
export function keywordOf(name: string): Keyword | undefined {
  return KEYWORDS.get(ALIASES[name] ?? name);
}

const ALIASES: Readonly<Record<string, string>> = {
  challengeresponseauthentication: 'kbdinteractiveauthentication',
  skeyauthentication: 'kbdinteractiveauthentication',
  tisauthentication: 'kbdinteractiveauthentication',
  dsaauthentication: 'pubkeyauthentication',
  identityfile2: 'identityfile',
  hostbasedkeytypes: 'hostbasedacceptedalgorithms',
  pubkeyacceptedkeytypes: 'pubkeyacceptedalgorithms',
  smartcarddevice: 'pkcs11provider',
  keepalive: 'tcpkeepalive',
};

const STRICT = { ...oneToOne('yes', 'ask', 'accept-new', 'off'), true: 'yes', no: 'off', false: 'off' };
const PUBKEY = { true: 'yes', false: 'no', ...oneToOne('yes', 'no', 'unbound', 'host-bound') };

const USED: Readonly<Record<string, read.ReadValue>> = {
  addressfamily: read.oneOf(oneToOne('any', 'inet', 'inet6')),
  batchmode: read.flag,
  bindaddress: read.word,
  certificatefile: read.word,
  ciphers: read.word,
  compression: read.oneOf(oneToOne('yes', 'no')),
  connecttimeout: read.time,
  forwardagent: read.agentPath,
  globalknownhostsfile: read.words,
  hashknownhosts: read.flag,
  hostkeyalgorithms: read.word,
  hostkeyalias: read.word,
  hostname: read.word,
  identitiesonly: read.flag,
  identityagent: read.agentPath,
  identityfile: read.word,
  ignoreunknown: read.word,
  kbdinteractiveauthentication: read.flag,
  kexalgorithms: read.word,
  macs: read.word,
  numberofpasswordprompts: read.integer,
  passwordauthentication: read.flag,
  port: read.port,
  preferredauthentications: read.word,
  proxycommand: read.command,
  proxyjump: read.jump,
  pubkeyauthentication: read.oneOf(PUBKEY),
  sendenv: read.names,
  serveralivecountmax: read.integer,
  serveraliveinterval: read.time,
  setenv: read.assignments,
  stricthostkeychecking: read.oneOf(STRICT),
  tag: read.word,
  user: read.word,
  userknownhostsfile: read.words,
};

const IGNORED: Readonly<Record<string, read.ReadValue>> = {
  casignaturealgorithms: read.word,
  connectionattempts: read.integer,
  hostbasedauthentication: read.flag,
  knownhostscommand: read.command,
  localcommand: read.command,
  nohostauthenticationforlocalhost: read.flag,
  pkcs11provider: read.word,
  pubkeyacceptedalgorithms: read.word,
  rekeylimit: read.anything,
  remotecommand: read.command,
  requiredrsasize: read.integer,
  securitykeyprovider: read.word,
  tunnel: read.flagOr('ethernet', 'point-to-point'),
  verifyhostkeydns: read.flagOr('ask'),
};

const UNSUPPORTED: Readonly<Record<string, read.ReadValue>> = {
  bindinterface: read.word,
  canonicalizehostname: read.flagOr('always'),
  proxyusefdpass: read.flag,
  refuseconnection: read.word,
  revokedhostkeys: read.word,
};

const IDLE = `addkeystoagent afstokenpassing canonicaldomains canonicalizefallbacklocal canonicalizemaxdots
canonicalizepermittedcnames channeltimeout checkhostip cipher clearallforwardings compressionlevel controlmaster
controlpath controlpersist dynamicforward enableescapecommandline enablesshkeysign escapechar exitonforwardfailure
fallbacktorsh fingerprinthash forkafterauthentication forwardx11 forwardx11timeout forwardx11trusted gatewayports
globalknownhostsfile2 gssapiauthentication gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms
gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns hostbasedacceptedalgorithms ipqos
kbdinteractivedevices kerberosauthentication kerberostgtpassing localforward loglevel logverbose
obscurekeystroketiming permitlocalcommand permitremoteopen protocol remoteforward requesttty rhostsauthentication
rhostsrsaauthentication rsaauthentication sessiontype stdinnull streamlocalbindmask streamlocalbindunlink
syslogfacility tcpkeepalive tunneldevice updatehostkeys usekeychain useprivilegedport userknownhostsfile2 useroaming
usersh versionaddendum visualhostkey warnweakcrypto xauthlocation`;

const ADDING: ReadonlySet<string> = new Set(['identityfile', 'certificatefile', 'sendenv']);

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ...entries('used', USED),
  ...entries('ignored', IGNORED),
  ...entries('unsupported', UNSUPPORTED),
  ...entries('idle', Object.fromEntries(IDLE.split(/\s+/).map((name) => [name, read.anything]))),
]);

function entries(role: Keyword['role'], keywords: Readonly<Record<string, read.ReadValue>>) {
  return Object.entries(keywords).map(([name, value]): [string, Keyword] => [
    name,
    { name, read: value, adds: ADDING.has(name), role },
  ]);
}

function oneToOne(...words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(words.map((each) => [each, each]));
}
