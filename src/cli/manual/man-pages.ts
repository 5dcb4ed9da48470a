import { manPage } from '../../output/manual/roff.ts';
import type { Command } from '../command.ts';
import { COMMANDS } from '../commands/all.ts';
import { createProgram as createFleetd } from '../fleetd/main.ts';
import { VERSION } from '../version.ts';
import { TOPIC_ROWS, type Topic } from './titles.ts';
import { TOPICS } from './topics.ts';

type Page = {
  readonly name: string;
  readonly section: number;
  readonly about: string;
  readonly parts: readonly string[];
};

/** The man pages by their file names, made of the manual and of the tables of options. The build writes them. */
export function manPages(): ReadonlyMap<string, string> {
  const pages: readonly Page[] = [
    {
      name: 'fleetctl',
      section: 1,
      about: 'treat a set of Linux machines as one init system',
      parts: [
        '## Synopsis\n\n**fleetctl** [OPTIONS…] COMMAND [ARGUMENTS…]',
        `## Description\n\n${DESCRIPTION}`,
        ...['## Commands', ...COMMANDS.map((command) => commandText(command, command.name))],
        ...[section('json', 'Exit status'), section('config', 'Global options and environment variables')],
        section('config', 'Where data is kept'),
      ],
    },
    {
      name: 'fleet.conf',
      section: 5,
      about: 'the machines of fleet, and how to reach them',
      parts: [`## Description\n\n${body('config')}`, chapter('connecting'), chapter('operators')],
    },
    {
      name: 'fleetd',
      section: 8,
      about: 'the controller of fleet',
      parts: [
        '## Synopsis\n\n**fleetd** [OPTIONS…]',
        `## Options\n\n${optionTable(fleetdOptions())}`,
        ...[`## Description\n\n${body('controller')}`, chapter('fencing'), chapter('api')],
      ],
    },
    {
      name: 'fleet-units',
      section: 7,
      about: 'units of fleet: files, placement and states',
      parts: [`## Description\n\n${body('units')}`, chapter('placement'), chapter('states')],
    },
  ];
  return new Map(pages.map((page) => [`${page.name}.${page.section}`, rendered(page, pages)]));
}

const DESCRIPTION = `fleetctl starts systemd units on a set of machines and keeps them there, over SSH. The machines need only
systemd, /bin/sh and an SSH server. fleet.conf(5) lists the machines, and fleet-units(7) describes unit files and the choice of a
machine. **fleetctl help TOPIC** shows further topics: ${TOPIC_ROWS.map(([name]) => name).join(', ')}.`;

function rendered({ name, section, about, parts }: Page, all: readonly Page[]): string {
  const others = all.filter((page) => page.name !== name).map((page) => `${page.name}(${page.section})`);
  const markdown = [
    `## Name\n\n${name} - ${about}`,
    ...parts,
    `## See also\n\n${others.join(', ')}, systemd(1), ssh(1)`,
  ];
  return manPage({ name, section, version: VERSION, markdown: markdown.join('\n\n') });
}

/** A command and its subcommands: what `fleetctl help` shows. */
function commandText(command: Command, path: string): string {
  const { arguments: operands, summary, description, options, examples, subcommands = [] } = command;
  return [
    `### ${`fleetctl ${path} ${operands}`.trim()}`,
    `${summary}. ${description}`,
    ...(options.length === 0
      ? []
      : [optionTable(options.map((option) => [option.flags, option.description]))]),
    // The examples of a group are those of its subcommands.
    ...(subcommands.length > 0
      ? subcommands.map((each) => commandText(each, `${path} ${each.name}`))
      : [`\`\`\`\n${examples.map(([line, effect]) => `# ${effect}\n$ ${line}`).join('\n')}\n\`\`\``]),
  ].join('\n\n');
}

function optionTable(options: readonly (readonly [flags: string, description: string])[]): string {
  const rows = options.map(([flags, description]) => `| ${bar(`\`${flags}\``)} | ${bar(description)} |`);
  return ['| option | meaning |', '|---|---|', ...rows].join('\n');
}

function bar(text: string): string {
  return text.replaceAll('|', '\\|');
}

function fleetdOptions(): readonly (readonly [string, string])[] {
  const ignore = (): void => undefined;
  return createFleetd({ out: ignore, err: ignore }).options.map(({ flags, description }) => [
    flags,
    description,
  ]);
}

/** The text of a topic below its title. */
function body(topic: Topic): string {
  return TOPICS[topic].replace(/^# .*\n+/, '');
}

/** A topic whose title is a section of the page. */
function chapter(topic: Topic): string {
  return TOPICS[topic].replace(/^(#+ )/gm, '#$1');
}

/** One section of a topic, with its heading. Throws where there is none. */
function section(topic: Topic, title: string): string {
  const found = TOPICS[topic].split(/^(?=## )/m).find((part) => part.startsWith(`## ${title}\n`));
  if (found === undefined) throw new Error(`the topic ${topic} has no section ${title}`);
  return found;
}
