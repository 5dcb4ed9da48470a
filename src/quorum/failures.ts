import { FleetError } from '../base/errors.ts';
import { mayBeDown } from '../cluster/unreachable.ts';

/** Why machines did not answer, by name. */
export type Failures = ReadonlyMap<string, FleetError>;

/**
 * Clauses about the machines that did not answer: one for those that may be down, and one for each other machine, because a
 * refused login needs another remedy. `hint` is that of the first of the latter.
 */
export function causesOf(
  machines: readonly string[],
  failures: Failures,
  silentWords: string,
): { readonly clauses: readonly string[]; readonly hint: string | undefined } {
  const others = machines.flatMap((machine) => {
    const error = failures.get(machine);
    return error === undefined || mayBeDown(error) ? [] : [{ machine, error }];
  });
  const silent = machines.filter((name) => !others.some(({ machine }) => machine === name));
  return {
    clauses: [
      ...(silent.length > 0 ? [`${silentWords}: ${silent.join(', ')}`] : []),
      ...others.map(({ error }) => asClause(error.message)),
    ],
    hint: others.find(({ error }) => error.hint !== undefined)?.error.hint,
  };
}

function asClause(message: string): string {
  return `${message.slice(0, 1).toLowerCase()}${message.slice(1)}`;
}

/** Two registries have equally many machines; `holders` are those of each. */
export function disputedError(holders: readonly (readonly string[])[]): FleetError {
  const groups = holders.map((machines) => machines.join(' and '));
  return new FleetError(
    'registry-no-majority',
    `Cannot tell which registry is that of the cluster: these machines have different ones: ${groups.join('; ')}`,
    {
      hint: 'Move /var/lib/fleet/registry away on the machines with the wrong one. To see what a machine has: a fleet.conf with that machine alone, and fleetctl registry',
    },
  );
}

/** No machine that answers has the registry; the files of the `invalid` ones do not count. */
export function notFoundError(
  invalid: readonly string[],
  machines: readonly string[],
  failures: Failures,
  cause: unknown,
): FleetError {
  if (invalid.length > 0)
    return new FleetError(
      'registry-no-majority',
      `Cannot find the registry: its files on these machines are damaged, or copies: ${invalid.toSorted().join(', ')}`,
      {
        hint: 'Copies do not count, because they may be old. Move /var/lib/fleet/registry away on these machines, then run fleetctl recover',
      },
    );
  const silent = machines.filter((machine) => failures.has(machine));
  const { clauses, hint } = causesOf(silent, failures, 'these do not answer');
  return new FleetError(
    'registry-no-majority',
    ['Cannot find the registry: no machine that answers has it', ...clauses].join('; '),
    {
      hint:
        hint ??
        'A registry is created only while every machine answers, because a machine that does not answer may have one',
      cause,
    },
  );
}
