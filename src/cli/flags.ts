import { Option, type Command } from 'commander';
import { durationOf, oneOf } from './usage.js';

/** The flags that several commands share. Each has a MIGRATE_* variable. */

const LANGUAGES = ['en', 'zh'] as const;

/** What `-o` says: a format, a file to write to, or both when it is given twice. */
export interface Output {
  format: string;
  file?: string;
}

export interface Flags {
  output: Output;
  color: boolean;
  quiet?: boolean;
  verbose?: boolean;
  lang: (typeof LANGUAGES)[number];
  playbook?: string;
  kubeconfig?: string;
  timeout?: number;
  state?: string;
  takeOver?: string;
  yes?: boolean;
  watch?: boolean;
}

/** Variables of flags that are either there or not: `MIGRATE_YES=0` must not mean yes. */
const SWITCHES = ['MIGRATE_YES', 'MIGRATE_QUIET', 'MIGRATE_VERBOSE'];

/** An empty variable is one that is not set; a switch is off for 0, false and no. */
export function tidyEnvironment(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env).filter((it) => it.startsWith('MIGRATE_'))) {
    if (env[name] === '' || (SWITCHES.includes(name) && /^(0|false|no|off)$/i.test(env[name] ?? ''))) delete env[name];
  }
}

export interface Outputs {
  formats?: readonly string[];
  /** what it writes to a file: then `-o` takes one too */
  file?: string;
}

export const screenFlags = (command: Command, { formats = ['text', 'json'], file }: Outputs = {}) =>
  command
    .addOption(
      new Option(
        file === undefined ? '-o, --output <format>' : '-o, --output <format|file>',
        `${formats.join(', ')}${file === undefined ? '' : `; or the file for ${file}`}`,
      )
        .default({ format: 'text' } satisfies Output, 'text')
        .env('MIGRATE_OUTPUT')
        .argParser((typed, before: Output) => outputOf(typed, before, formats, file !== undefined)),
    )
    .addOption(new Option('--no-color', 'no colour, also NO_COLOR; FORCE_COLOR switches it on'))
    .addOption(new Option('-q, --quiet', 'results, warnings and errors only').env('MIGRATE_QUIET'))
    .addOption(new Option('-v, --verbose', 'each request, on stderr').env('MIGRATE_VERBOSE'))
    .addOption(
      new Option('--lang <language>', 'language of explanations: en, zh')
        .default('en')
        .env('MIGRATE_LANG')
        .argParser((typed) => oneOf('--lang', LANGUAGES, typed)),
    );

/** A dot or a slash makes it a file: `-o json` is a format, `-o plan.json` is not. */
function outputOf(typed: string, before: Output, formats: readonly string[], files: boolean): Output {
  if (files && /[./]/.test(typed)) return { ...before, file: typed };
  return { ...before, format: oneOf('--output', formats, typed) };
}

export const playbookFlag = (command: Command) =>
  command.addOption(
    new Option('-f, --playbook <file>', 'the playbook: a file, or a name under playbooks/ (default: migrate.yaml)').env(
      'MIGRATE_PLAYBOOK',
    ),
  );

export const worldFlags = (command: Command) =>
  command
    .addOption(
      new Option('--kubeconfig <file>', 'the kubeconfig with both contexts (default: $KUBECONFIG, ~/.kube/config)').env(
        'MIGRATE_KUBECONFIG',
      ),
    )
    .addOption(
      new Option(
        '--timeout <duration>',
        'how long one reply is waited for (default: 30s); a server that is down, ten times that, 1m at most',
      )
        .env('MIGRATE_TIMEOUT')
        .argParser((typed) => durationOf('--timeout', typed)),
    );

export const stateFlag = (command: Command) =>
  command.addOption(
    new Option('--state <dir>', 'where plan, journal and lock are kept (default: .migrate)').env('MIGRATE_STATE'),
  );

export const writingFlags = (command: Command) =>
  stateFlag(command)
    .addOption(
      new Option('--take-over <owner>', 'take over the lock that this owner left behind').env('MIGRATE_TAKE_OVER'),
    )
    .addOption(new Option('-y, --yes', 'do not ask; needed where there is no terminal').env('MIGRATE_YES'));

/** Shown under a command's flags. */
export const examples = (command: Command, ...lines: [does: string, line: string][]) =>
  command.addHelpText('after', `\nExamples:\n${lines.map(([does, line]) => `  # ${does}\n  ${line}`).join('\n')}\n`);
