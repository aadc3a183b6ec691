import { CommanderError, type Command } from 'commander';
import type { MigrateError } from '../errors.js';
import { nearest } from '../words.js';
import { usage } from './usage.js';

/** What the parser could not read, in our own words, with the flag or command that was probably meant. Anything else comes back as it is. */
export function misread(error: unknown, argv: readonly string[], program: Command): unknown {
  if (!(error instanceof CommanderError)) return error;
  const typed = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  const command = program.commands.find((it) => argv.includes(it.name()));
  const help = `See \`migrate ${command ? `${command.name()} ` : ''}--help\`.`;
  return explained(error, typed, command, program, help, argv);
}

function explained(
  error: CommanderError,
  typed: string,
  command: Command | undefined,
  program: Command,
  help: string,
  argv: readonly string[],
): MigrateError {
  switch (error.code) {
    case 'commander.unknownCommand': {
      const names = program.commands.map((it) => it.name());
      const meant = nearest(typed, names);
      return usage(
        `There is no command "${typed}".`,
        `There are: ${names.join(', ')}.`,
        meant === undefined ? help : `Did you mean \`migrate ${meant}\`?`,
      );
    }
    case 'commander.unknownOption':
      // What stands before the command belongs to the program, which has no flags but --help and --version.
      return unknownFlag(
        typed.split('=')[0] ?? typed,
        before(typed, command, argv) ? undefined : command,
        program,
        help,
      );
    case 'commander.missingArgument':
      return usage(`\`migrate ${command?.name() ?? ''}\` needs ${typed.toUpperCase()}.`, 'It was left out.', help);
    case 'commander.optionMissingArgument':
      return usage(`${typed} needs a value.`, 'Nothing stands behind it.', help);
    case 'commander.missingMandatoryOptionValue':
      return usage(`\`migrate ${command?.name() ?? ''}\` needs ${typed}.`, 'It was left out.', help);
    case 'commander.excessArguments':
      return usage(
        `\`migrate ${command?.name() ?? ''}\` got more words than it takes.`,
        error.message.replace(/^error: /, ''),
        `${help} A value with spaces needs quotes.`,
      );
    case 'commander.conflictingOption':
      return usage(error.message.replace(/^error: /, ''), 'They exclude each other.', help);
    default:
      return usage(
        error.message.replace(/^error: /, '') || 'No command was given.',
        'The command line could not be read.',
        help,
      );
  }
}

const before = (flag: string, command: Command | undefined, argv: readonly string[]) =>
  command !== undefined && argv.indexOf(flag) < argv.indexOf(command.name());

function unknownFlag(typed: string, command: Command | undefined, program: Command, help: string): MigrateError {
  const flagsOf = (it: Command) => it.options.map((option) => option.long ?? option.short ?? '');
  if (!command) {
    const elsewhere = program.commands.some((it) =>
      it.options.some((option) => option.long === typed || option.short === typed),
    );
    if (elsewhere)
      return usage(
        `${typed} stands before the command.`,
        'Flags belong to a command and come behind it.',
        `Write \`migrate COMMAND ${typed}\`.`,
      );
  }
  const known = flagsOf(command ?? program);
  const meant = nearest(typed, known);
  if (meant !== undefined)
    return usage(
      `There is no flag ${typed}.`,
      `\`migrate ${command?.name() ?? ''}\` does not have it.`,
      `Did you mean ${meant}?`,
    );
  const others = program.commands
    .filter((it) => it.options.some((option) => option.long === typed || option.short === typed))
    .map((it) => it.name());
  const why =
    others.length > 0
      ? `It belongs to ${others.join(', ')}.`
      : `\`migrate ${command?.name() ?? ''}\` has: ${known.join(', ')}.`;
  return usage(`There is no flag ${typed} here.`, why, help);
}
