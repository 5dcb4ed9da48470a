import type { TemplateResult } from '../operations/instances.ts';
import type { RequestResult } from '../operations/unit-result.ts';

/** What became of the instances of templates: `Template web@.service stored; 3 of 3 instances updated`. */
export function templateLines({ templates = [], results }: RequestResult): readonly string[] {
  const failed = new Set(results.flatMap(({ unit, failures }) => (failures.length > 0 ? unit : [])));
  return templates.filter(hasInstances).map(({ template, following, own }) => {
    const updated = following.filter((name) => !failed.has(name)).length;
    return `Template ${template} stored; ${updated} of ${following.length + own.length} instances updated`;
  });
}

/** The templates that {@link templateLines} has a line for. */
export function reportedTemplates({ templates = [] }: RequestResult): ReadonlySet<string> {
  return new Set(templates.filter(hasInstances).map(({ template }) => template));
}

/** The instances that a request left with another text than that of their template, and why. */
export function templateWarnings({ templates = [] }: RequestResult): readonly string[] {
  return templates.flatMap(({ template, own, behind }) => [
    ...own.map(
      (name) => `Warning: unit "${name}" keeps a text of its own, not that of template "${template}"`,
    ),
    ...behind.map((name) => `Warning: unit "${name}" keeps its text of template "${template}"`),
    ...(behind.length > 0 ? [`hint: Update all instances: fleetctl submit --replace ${template}`] : []),
  ]);
}

function hasInstances({ following, own }: TemplateResult): boolean {
  return following.length + own.length > 0;
}
