import { createHash } from 'node:crypto';

/** What tokens stand for: one letter each. */
export type Tokens = Readonly<Record<string, string>>;

/** What went wrong, as the end of a sentence. */
export type Expanded = { readonly text: string } | { readonly problem: string };

/** Replaces `%x` by tokens and `%%` by a percent sign (ssh_config(5), TOKENS). */
export function expandTokens(text: string, tokens: Tokens): Expanded {
  let problem = '';
  const result = text.replace(/%(.?)/gs, (_, letter: string) => {
    if (letter === '%') return letter;
    const value = Object.hasOwn(tokens, letter) ? tokens[letter] : undefined;
    if (value === undefined) problem ||= letter === '' ? 'ends in "%"' : `has the unknown token "%${letter}"`;
    return value ?? '';
  });
  return problem === '' ? { text: result } : { problem };
}

/** Replaces `${NAME}` by variables of the environment (ssh_config(5), ENVIRONMENT VARIABLES), and tokens at once. */
export function expandAll(
  text: string,
  tokens: Tokens,
  env: Readonly<Record<string, string | undefined>>,
): Expanded {
  let problem = '';
  // Both at once: what a variable or a token brings is not looked at again.
  const result = text.replace(/\$\{([^}]*)(\}?)|%(?:.|$)/gs, (found, name: string | undefined, close) => {
    if (name === undefined) {
      const expanded = expandTokens(found, tokens);
      if ('text' in expanded) return expanded.text;
      problem ||= expanded.problem;
      return '';
    }
    const value = close === '}' && name !== '' ? env[name] : undefined;
    if (value === undefined) problem ||= `names the variable "${name}", which is not set`;
    return value ?? '';
  });
  return problem === '' ? { text: result } : { problem };
}

/** `%C`: SHA-1 of local host name, host, port and user. */
export function connectionHash(localHost: string, host: string, port: string, user: string): string {
  return createHash('sha1').update(localHost).update(host).update(port).update(user).digest('hex');
}
