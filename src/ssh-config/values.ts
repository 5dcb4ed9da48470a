/** The argument of a keyword, as words and as text. */
export type Argument = { readonly words: readonly string[]; readonly text: string };

/** Reads the argument of a keyword: its values, or its problem as the end of a sentence. */
export type ReadValue = (argument: Argument) => readonly string[] | string;

const YES_NO = { true: 'yes', false: 'no', yes: 'yes', no: 'no' };

export const flag = oneOf(YES_NO);

/** One word of a set, in upper or lower case; the set maps every spelling to its value. */
export function oneOf(spellings: Readonly<Record<string, string>>): ReadValue {
  const known = new Map(Object.entries(spellings));
  return oneWord((word) => {
    const value = known.get(word.toLowerCase());
    return value === undefined ? `must be one of ${[...known.keys()].join(', ')}: "${word}"` : [value];
  });
}

/** `yes`, `no`, or one of `more`. */
export function flagOr(...more: readonly string[]): ReadValue {
  return oneOf({ ...YES_NO, ...Object.fromEntries(more.map((word) => [word, word])) });
}

export const word = oneWord((text) => [text]);

/** An integer from 0 to 2³¹ - 1. */
export const integer = oneWord((text) =>
  /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31 ? [String(Number(text))] : `must be a number: "${text}"`,
);

export const port = oneWord((text) => {
  const number = text === 'ssh' ? 22 : /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= 65_535 ? [String(number)] : `must be a port: "${text}"`;
});

/** A time such as `90`, `1m30s` or `2h` (sshd_config(5), TIME FORMATS), in seconds; `none` is no value. */
export const time = oneWord((text) => {
  if (text === 'none') return [];
  if (!/^(?:\d{1,9}[smhdw]?)+$/i.test(text)) return `must be a time such as 30 or 1m: "${text}"`;
  const parts = text.toLowerCase().matchAll(/(\d+)([smhdw]?)/g);
  const seconds = [...parts].map(([, digits, unit]) => Number(digits) * (SECONDS[unit ?? ''] ?? 1));
  return [String(seconds.reduce((sum, part) => sum + part, 0))];
});

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Any number of words, or only `none`. */
export const words: ReadValue = ({ words: list }) => {
  if (list.includes('')) return 'has an empty argument';
  const hasNone = list.length > 1 && list.some((each) => each.toLowerCase() === 'none');
  return hasNone ? '"none" must be the only argument' : list;
};

/** The rest of the line, unchanged, for a shell. */
export const command: ReadValue = ({ text }) => [text.replace(/^[ \t\r\n=]*/, '')];

/** The jump hosts of a ProxyJump. */
export const jump: ReadValue = ({ text }) => {
  const list = text.replace(/^[ \t\r\n=]*/, '').replace(/#.*$/s, '');
  const trimmed = list.trimEnd();
  return trimmed.toLowerCase() === 'none' || parseJumps(trimmed) !== undefined
    ? [trimmed]
    : `must be hosts to jump through such as user@host:port: "${trimmed}"`;
};

/** `${NAME}` or `$NAME`, or a path. */
export const agentPath = oneWord((text) =>
  /^\$(?!\{)/.test(text) && !/^\$\w+$/.test(text) ? `must name a variable: "${text}"` : [text],
);

/** Patterns for the names of environment variables. */
export const names: ReadValue = ({ words: list }) =>
  list.some((name) => name === '' || name.includes('=')) ? 'must be names of variables' : list;

/** Any number of `NAME=value`. */
export const assignments: ReadValue = ({ words: list }) =>
  list.every((each) => each.includes('=')) ? list : 'must be NAME=value';

/** Any words, for keywords that fleet does not use. */
export const anything: ReadValue = ({ words: list }) => list;

function oneWord(read: (word: string) => readonly string[] | string): ReadValue {
  return ({ words: [first = '', ...more] }) => {
    if (first === '') return 'has no argument';
    return more.length > 0 ? 'has extra arguments at the end of the line' : read(first);
  };
}

/** A jump host; undefined values come from the configuration for its name. */
export type Jump = {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
};

/** Reads a ProxyJump: comma-separated `user@host:port` or `ssh://user@host:port`; undefined for other text. */
export function parseJumps(list: string): readonly Jump[] | undefined {
  const jumps: Jump[] = [];
  for (const text of list.split(',')) {
    const jump = parseJump(text);
    if (jump === undefined) return undefined;
    jumps.push(jump);
  }
  return jumps;
}

function parseJump(text: string): Jump | undefined {
  const isUri = /^ssh:\/\//i.test(text);
  const plain = isUri ? text.slice('ssh://'.length).replace(/\/$/, '') : text;
  const match = /^(?:(?<user>.+)@)?(?:\[(?<v6>[^\]]+)\]|(?<name>[^:@[\]/]+))(?::(?<port>\d{1,5}))?$/.exec(
    plain,
  );
  const { user, v6, name, port } = match?.groups ?? {};
  const host = v6 ?? name;
  if (host === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)))
    return undefined;
  return {
    host,
    user: isUri && user !== undefined ? decode(user) : user,
    port: port ? Number(port) : undefined,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
