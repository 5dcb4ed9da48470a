/** A host to go through; what it does not name is decided by the configuration for its name. */
export type Jump = {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
};

/** Reads the list of a ProxyJump: `user@host:port` or `ssh://user@host:port`, with commas; undefined for anything else. */
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
