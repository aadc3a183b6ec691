import { CommanderError, type Command } from 'commander';
import { MigrateError } from '../errors.js';
import type { EndedEvent } from '../events.js';
import { commands, type Host } from './commands.js';
import { ask, confirmOn } from './confirm.js';
import type { CliEmit } from './events.js';
import { tidyEnvironment, type Flags } from './flags.js';
import { Cut, onInterrupt } from './interrupt.js';
import { misread } from './misread.js';
import { screenOn } from './screen.js';
import { openView } from './views/open.js';

/** From words on a command line to an exit code: parse, draw, run the body, end. */

/** What a command's body gets. */
export interface Io {
  emit: CliEmit;
  stopping(): boolean;
  /** of this program, for the journal */
  version?: string;
  confirm(question: string): Promise<boolean>;
  /** Whether a step may go on; undefined where nobody is there to say. */
  approve?(question: string): Promise<boolean | undefined>;
  ask(question: string): Promise<string>;
  /** whether there is somebody to ask */
  interactive: boolean;
  /** a view that is drawn again: it wants to hear of every tick */
  live?: boolean;
  /** for -v, and for what a person should see at once */
  note(text: string): void;
}

export type Body = (io: Io) => Promise<EndedEvent>;

/** How a command wants to be run. */
export interface Manner {
  command: string;
  /** it changes something: Ctrl-C waits for a safe point */
  writes?: boolean;
  /** it runs until Ctrl-C, which is then no news */
  serves?: boolean;
}

/** Runs the program and ends the process with its exit code. */
export async function start({ version, root }: { version: string; root: URL }): Promise<void> {
  process.stdout.on('error', leave);
  process.stderr.on('error', leave);
  const code = await main(process.argv.slice(2), { version, shipped: new URL('playbooks/', root) });
  // Sockets that are kept alive would hold the process; what was written still goes out first.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

/** A reader that went away (`| head`) is no error of ours. */
function leave(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

/** @returns the exit code */
export async function main(argv: readonly string[], place: Pick<Host, 'version' | 'shipped'>): Promise<number> {
  tidyEnvironment(process.env);
  let code = 0;
  const host: Host = {
    ...place,
    async perform(manner, flags, body) {
      code = await perform(manner, flags, body, place.version);
    },
  };
  const program = commands(host);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help, --version
    return perform({ command: typedCommand(argv, program) }, typedFlags(argv), () =>
      Promise.reject(misread(error, argv, program)),
    );
  }
}

async function perform(
  { command, writes = false, serves = false }: Manner,
  flags: Flags,
  body: Body,
  version = '',
): Promise<number> {
  const { stdin, stdout, stderr, env } = process;
  const out = screenOn(stdout, env, flags.color);
  const err = screenOn(stderr, env, flags.color);
  const view = await openView({
    command,
    format: flags.output.format,
    out,
    err,
    quiet: flags.quiet === true,
    verbose: flags.verbose === true,
    lang: flags.lang,
    watch: flags.watch === true,
  });
  const interrupts = onInterrupt(
    writes || serves,
    (text) => serves || view.note(text),
    () => process.exit(130),
  );
  const emit: CliEmit = ({ at, ...event }) => {
    if (event.type === 'error' && !flags.verbose) delete event.stack;
    view.show({ ...event, at: at ?? new Date().toISOString() });
  };
  let asked: Promise<boolean> = Promise.resolve(true);
  const confirmOnce = (question: string) => {
    view.pause();
    return confirmOn(stdin, stderr, question);
  };
  const io: Io = {
    emit,
    version,
    stopping: interrupts.stopping,
    ask(question) {
      view.pause();
      return ask(stdin, stderr, question);
    },
    interactive: stdin.isTTY && stderr.isTTY,
    live: out.live && flags.watch === true && flags.output.format === 'text',
    note: (text) => view.note(text),
    approve(question) {
      if (!stdin.isTTY || !stderr.isTTY) return Promise.resolve(undefined);
      // Steps run side by side; a person is asked one thing at a time.
      asked = asked.then(() => confirmOnce(question));
      return asked;
    },
    async confirm(question) {
      if (flags.yes) return true;
      view.pause();
      return confirmOn(stdin, stderr, question);
    },
  };
  let ended: EndedEvent;
  try {
    ended = await Promise.race([body(io), interrupts.cut]);
  } catch (error) {
    ended = await endedByThrow(error, emit);
  } finally {
    interrupts.dispose();
  }
  emit(ended);
  view.close();
  return ended.exit;
}

async function endedByThrow(error: unknown, emit: CliEmit): Promise<EndedEvent> {
  if (error instanceof Cut) return { type: 'ended', outcome: 'interrupted', exit: 130, serving: 'nothing was changed' };
  const { endedBy, NOTHING } = await import('./ending.js');
  return endedBy(error, emit, { touched: false, now: error instanceof MigrateError ? NOTHING : '' });
}

/** How usage errors are told, before there are parsed flags. */
function typedFlags(argv: readonly string[]): Flags {
  const given = argv.flatMap((it, index) =>
    it === '-o' || it === '--output' ? (argv[index + 1] ?? '') : (/^(?:-o=?|--output=)(.+)$/.exec(it)?.[1] ?? []),
  );
  const json = given.length > 0 ? given.includes('json') : process.env['MIGRATE_OUTPUT'] === 'json';
  return {
    output: { format: json ? 'json' : 'text' },
    color: !argv.includes('--no-color'),
    lang: 'en',
    verbose: argv.includes('-v') || argv.includes('--verbose'),
  };
}

const typedCommand = (argv: readonly string[], program: Command) =>
  program.commands.find((it) => argv.includes(it.name()))?.name() ?? '';
