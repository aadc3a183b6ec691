import type { Command, Option } from 'commander';

/** Completion for a shell, made from the commands themselves. Words only: nothing is run or read while somebody types. */
export function completion(shell: 'bash' | 'zsh' | 'fish', program: Command): string {
  const commands = program.commands.map((it) => ({ name: it.name(), does: it.description(), flags: it.options }));
  switch (shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      return zsh(commands);
    case 'fish':
      return fish(commands);
    default:
      return shell satisfies never;
  }
}

interface Described {
  name: string;
  does: string;
  flags: readonly Option[];
}

const names = (flags: readonly Option[]) =>
  flags.flatMap((it) => [it.short, it.long].filter((name) => name !== undefined));

/** Words that may stand behind a flag; undefined for a file. */
function valuesOf(flag: Option): string[] | undefined {
  if (flag.argChoices) return flag.argChoices;
  const listed =
    /: ((?:[a-z]+, )+[a-z]+)$/.exec(flag.description)?.[1] ??
    /^((?:[a-z]+, )+[a-z]+)(?:;|$)/.exec(flag.description)?.[1];
  return listed?.split(', ');
}

const takesValue = (flag: Option) => flag.required || flag.optional;

function bash(commands: Described[]): string {
  const cases = commands.map(({ name, flags }) => `    ${name}) words="${names(flags).join(' ')}" ;;`);
  const values = new Map<string, string>();
  for (const { name, flags } of commands) {
    for (const flag of flags) {
      const words = valuesOf(flag);
      if (words && takesValue(flag))
        values.set(`${name}:${[flag.short, flag.long].filter(Boolean).join(`|${name}:`)}`, words.join(' '));
    }
  }
  return `# bash completion for migrate:  source <(migrate completion bash)
_migrate() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  case "$command:$previous" in
${[...values].map(([flag, words]) => `    ${flag}) COMPREPLY=($(compgen -W "${words}" -- "$current")); return ;;`).join('\n')}
  esac
  case "$command" in
    "") words="${commands.map((it) => it.name).join(' ')} --help --version" ;;
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ -z "$command" || "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _migrate migrate
`;
}

const zshText = (text: string) => text.replace(/[\\'":[\]]/g, (it) => (it === "'" ? "'\\''" : `\\${it}`));

function zsh(commands: Described[]): string {
  const flagSpec = (flag: Option) => {
    const words = valuesOf(flag);
    const value = takesValue(flag) ? `:value:${words ? `(${words.join(' ')})` : '_files'}` : '';
    const both = [flag.short, flag.long].filter((it) => it !== undefined);
    return both.map((it) => `        '${it}[${zshText(flag.description)}]${value}'`).join(' \\\n');
  };
  return `#compdef migrate
_migrate() {
  local -a commands
  commands=(
${commands.map((it) => `    '${it.name}:${zshText(it.does)}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  case "\${words[2]}" in
${commands.map((it) => `    ${it.name})\n      _arguments \\\n${[...it.flags.map(flagSpec), "        '*:file:_files'"].join(' \\\n')}\n      ;;`).join('\n')}
  esac
}
if [ "$funcstack[1]" = "_migrate" ]; then _migrate "$@"; else compdef _migrate migrate; fi
`;
}

const fishText = (text: string) => text.replace(/['\\]/g, '\\$&');

function fish(commands: Described[]): string {
  const lines = commands.flatMap(({ name, does, flags }) => [
    `complete -c migrate -n __fish_use_subcommand -f -a ${name} -d '${fishText(does)}'`,
    ...flags.map((flag) => {
      const words = valuesOf(flag);
      const parts = [
        `complete -c migrate -n '__fish_seen_subcommand_from ${name}'`,
        flag.short && `-s ${flag.short.slice(1)}`,
        flag.long && `-l ${flag.long.slice(2)}`,
        takesValue(flag) && (words ? `-x -a '${words.join(' ')}'` : '-r'),
        `-d '${fishText(flag.description)}'`,
      ];
      return parts.filter(Boolean).join(' ');
    }),
  ]);
  return `# fish completion for migrate:  migrate completion fish | source\n${lines.join('\n')}\n`;
}
