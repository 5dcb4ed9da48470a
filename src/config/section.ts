import * as z from 'zod/mini';
import { nearest } from '../base/nearest.ts';
import type { Section } from './parse.ts';
import { excerpt, problem } from './problem.ts';
import type { Schemas } from './schema.ts';

/** Reads a section. Throws `config` about its first setting that is wrong, or about a key that it lacks. */
export function readSection<S extends z.ZodMiniObject>(
  schemas: Schemas,
  schema: S,
  section: Section,
): z.output<S> {
  const settings = [...section.settings.values()];
  const result = z.safeParse(schema, Object.fromEntries(settings.map(({ key, value }) => [key, value])));
  if (result.success) return result.data;
  const expected = new Map(result.error.issues.map((issue) => [issue.path[0], issue.message]));
  for (const { key, value, where } of settings) {
    if (!Object.hasOwn(schema.shape, key))
      throw problem(`${where} is not a known key: ${excerpt(value)}`, keyHint(schemas, schema, section, key));
    if (expected.has(key)) throw problem(`${where} must be ${expected.get(key)}: ${excerpt(value)}`);
  }
  const missing = [...expected].map(([key, text]) => `"${String(key)}", which must be ${text}`);
  throw problem(`${section.where} has no ${missing.join('; and no ')}`);
}

/** The key that was probably meant, or the sections that this one belongs to; and the keys that can be here. */
function keyHint(schemas: Schemas, schema: z.ZodMiniObject, section: Section, key: string): string {
  const keys = Object.keys(schema.shape);
  const near = nearest(key, keys);
  const homes = homesOf(schemas, key);
  const takes = `${section.name === '' ? 'The top of the file' : `[${section.name}]`} takes ${keys.join(', ')}`;
  if (near !== undefined) return `Did you mean "${near}"? ${takes}`;
  return homes.length === 0 ? takes : `"${key}" belongs ${homes.join(' or ')}. ${takes}`;
}

function homesOf(schemas: Schemas, key: string): readonly string[] {
  const homes = [
    [schemas.top, 'at the top of the file'],
    [schemas.ssh, 'in [ssh]'],
    [schemas.machine, 'in [machine.NAME]'],
  ] as const;
  return homes.filter(([schema]) => Object.hasOwn(schema.shape, key)).map(([, place]) => place);
}
