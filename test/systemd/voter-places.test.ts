import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readVoterPlaces, voterPlacesQuery } from '../../src/systemd/queries.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const THREE = [
  { name: 'web-1', address: '10.0.0.1' },
  { name: 'web-2', address: 'web-2.example:2222' },
  { name: 'web-3', address: '[fd00::3]:22' },
];
const TWO = THREE.slice(1);
const change = (token: number) => changes.launch('web.service', unitText('web'), token);

describe.each(SHELLS)('a machine with %s', (shell) => {
  it('keeps where the voters are with each change, and forgets nothing without them', async () => {
    const machine = await createLocalMachine({ shell });
    expect(await machine.ask(voterPlacesQuery())).toEqual([]);
    await machine.change([change(1)], { voterPlaces: () => THREE });
    expect(await machine.ask(voterPlacesQuery())).toEqual(THREE);
    expect(statSync(machine.path('var/voters')).mode & 0o077).toBe(0);
    const written = statSync(machine.path('var/voters')).ino;
    await machine.change([change(2)], { voterPlaces: () => THREE });
    expect(statSync(machine.path('var/voters')).ino).toBe(written);
    await machine.change([change(3)]);
    expect(await machine.ask(voterPlacesQuery())).toEqual(THREE);
    await machine.change([change(4)], { voterPlaces: () => TWO });
    expect(await machine.ask(voterPlacesQuery())).toEqual(TWO);
  });

  it('is changed although it cannot keep them, and keeps none of another cluster', async () => {
    const machine = await createLocalMachine({ shell });
    mkdirSync(machine.path('var/voters/inside'), { recursive: true });
    const [outcome] = await machine.change([change(1)], { voterPlaces: () => THREE });
    expect(outcome?.failure).toBeUndefined();
    expect(await machine.ask(voterPlacesQuery())).toEqual([]);
    const other = await createLocalMachine({ shell });
    await other.change([change(1)], { voterPlaces: () => THREE });
    const [refused] = await other.change([change(2)], { cluster: 'other', voterPlaces: () => TWO });
    expect(refused?.failure?.code).toBe('other-cluster');
    expect(await other.ask(voterPlacesQuery())).toEqual(THREE);
  });

  it.each([
    ['an option', 'web-1 -oProxyCommand=x', 'which is not an address'],
    ['a command', 'web-1 $(reboot)', 'which is not an address'],
    ['a user', 'web-1 root@10.0.0.1', 'which is not an address'],
    ['a name with a slash', '../x 10.0.0.1', 'which is not the name of a machine'],
    ['half of a pair', 'web-1', 'which is not an address'],
  ])('that names %s is not believed', async (_, text, message) => {
    const machine = await createLocalMachine({ shell });
    mkdirSync(machine.path('var'), { recursive: true });
    writeFileSync(machine.path('var/voters'), `${text}\n`);
    await expect(machine.ask(voterPlacesQuery())).rejects.toThrow(message);
  });
});

describe('the file of voters', () => {
  it('has as many voters as a registry can have, whatever a machine sends', () => {
    expect(readVoterPlaces('web 10.0.0.1 '.repeat(500))).toHaveLength(9);
  });
});
