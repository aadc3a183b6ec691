import { Command, Option } from 'commander';
import { PROBE_IMAGE } from '../probe.js';
import type { Phase } from '../step.js';
import type { CommonOptions } from './act.js';
import { examples, playbookFlag, screenFlags, stateFlag, worldFlags, writingFlags, type Flags } from './flags.js';
import { findPlaybook, readPlaybook } from './playbooks.js';
import type { Body, Io, Manner } from './program.js';
import { oneOf, percentOf, usage, wholeNumber } from './usage.js';
import { labelled } from './views/text.js';

/** The commands: their flags and examples, and which body each calls. Bodies are loaded when they are called and no sooner. */

export interface Host {
  version: string;
  /** the folder of playbooks that came with the package */
  shipped: URL;
  perform(manner: Manner, flags: Flags, body: Body): Promise<void>;
}

const LOOK = 'Look (nothing is changed):';
const MOVE = 'Move (asks first; every step but the last can be undone):';
const LEARN = 'Learn:';

const MOST_COLUMNS = 100;

/** As wide as the terminal, and never so wide that it reads badly. */
const helpWidth = (): number => Math.min(MOST_COLUMNS, process.stdout.columns || MOST_COLUMNS);

/** Below the commands: how to begin, and what an exit says. */
function closing(): string[] {
  const screen = { columns: helpWidth };
  return [
    'Start here:',
    ...labelled(
      'migrate rehearse shop',
      'a whole move on a twin of two clusters; nothing real is touched',
      screen,
      2,
      31,
    ),
    ...labelled('migrate init', 'a playbook for your own two clusters', screen, 2, 31),
    '',
    ...labelled(
      'Exit codes:',
      '0 done, 1 refused (nothing changed), 2 usage or playbook, 3 stopped midway, 4 waiting, 5 the world moved or the lock is held, 70 a fault of ours, 130 interrupted at a safe point',
      screen,
      0,
      11,
    ),
  ];
}

export function commands(host: Host): Command {
  const program = new Command('migrate')
    .description('Moves services from one Kubernetes cluster to another, step by step, with a way back from each step.')
    .usage('COMMAND [flags]')
    .helpOption('-h, --help', 'this help, or that of a command')
    .helpCommand(false)
    .version(host.version, '-V, --version', 'the version')
    .configureHelp({ sortSubcommands: false, helpWidth: helpWidth() })
    .addHelpText('after', () => `\n${closing().join('\n')}`)
    .enablePositionalOptions();
  program.exitOverride().configureOutput({ writeErr: () => undefined });

  const add = (
    name: string,
    group: string,
    description: string,
    ...does: ((command: Command) => unknown)[]
  ): Command => {
    const command = program
      .command(name)
      .description(description)
      .helpGroup(group)
      .exitOverride()
      .configureHelp({ helpWidth: helpWidth() });
    for (const it of does) it(command);
    return command;
  };
  const perform = (manner: Manner, flags: Flags, body: Body) => host.perform(manner, flags, body);
  const shippedFolder = () => decodeURIComponent(host.shipped.pathname);

  add(
    'init',
    LOOK,
    'look at two contexts, ask what it can not see, write a commented playbook',
    screenFlags,
    worldFlags,
  )
    .addOption(new Option('--source <context>', 'context of the cluster to leave').env('MIGRATE_SOURCE'))
    .addOption(new Option('--target <context>', 'context of the cluster to go to').env('MIGRATE_TARGET'))
    .addOption(new Option('--name <name>', "the playbook's name (default: the first namespace)"))
    .addOption(new Option('--namespaces <list>', 'namespaces to bring, with commas between them'))
    .addOption(new Option('--service <namespace/name>', 'a service whose traffic moves'))
    .addOption(new Option('--region <region>', "the cloud's region, e.g. cn-hangzhou"))
    .addOption(new Option('--file <file>', 'what to write').default('migrate.yaml'))
    .addOption(new Option('--force', 'overwrite a file that is there'))
    .action((flags) => perform({ command: 'init' }, flags, async (io) => (await import('./init.js')).init(flags, io)));

  add('validate', LOOK, 'check a playbook; every complaint with line:column', playbookFlag, screenFlags)
    .argument('[playbook]', 'file or name')
    .action((typed, flags) =>
      perform({ command: 'validate' }, flags, async (io) =>
        (await import('./validate.js')).validate(findPlaybook(typed ?? flags.playbook, shippedFolder()), io),
      ),
    );

  add(
    'inventory',
    LOOK,
    'capture both sides once, for offline work and rehearsal; never Secret values',
    playbookFlag,
    worldFlags,
    (it) => screenFlags(it, { file: 'the inventory (default: NAME.inventory.json)' }),
  )
    .argument('[playbook]', 'file or name')
    .action((typed, flags) =>
      perform({ command: 'inventory' }, flags, async (io) => {
        const options = await load(typed, flags, io);
        const { inventoryAct } = await import('./looking.js');
        return inventoryAct({ ...options, output: flags.output.file ?? `${options.playbook.name}.inventory.json` }, io);
      }),
    );

  add(
    'preflight',
    LOOK,
    'find what works in the source and will break in the target, with evidence',
    playbookFlag,
    worldFlags,
    (it) => screenFlags(it, { formats: ['text', 'json', 'junit', 'sarif', 'markdown'] }),
  )
    .argument('[playbook]', 'file or name')
    .addOption(inventoryFlag())
    .addOption(
      new Option(
        '--manifests <folder>',
        'judge the manifests in it too: plain YAML or JSON, or what kustomize and helm rendered',
      ).env('MIGRATE_MANIFESTS'),
    )
    .addOption(
      new Option('--source <file>', 'the source from a captured inventory; only the target is looked at')
        .env('MIGRATE_SOURCE')
        .conflicts('inventory'),
    )
    .addOption(
      new Option('--target <file>', 'the target from a captured inventory; only the source is looked at')
        .env('MIGRATE_TARGET')
        .conflicts('inventory'),
    )
    .addOption(new Option('--only <checks>', 'ask only these: ids or groups, with commas').argParser(listOf))
    .addOption(new Option('--skip <checks>', 'do not ask these: ids or groups, with commas').argParser(listOf))
    .addOption(
      new Option('--fail-on <level>', 'exit 1 on: none, refuse, unknown (and what is refused), warn (all)')
        .default('unknown')
        .env('MIGRATE_FAIL_ON')
        .argParser((typed) => oneOf('--fail-on', ['none', 'refuse', 'unknown', 'warn'] as const, typed)),
    )
    .addOption(new Option('--diff <file>', 'what is new and what is gone since a report of `-o json`'))
    .addOption(
      new Option('--checks <folder>', 'ask the checks of your own in it too; they run with the rights of this process'),
    )
    .addOption(
      new Option('--probe', 'start a tiny workload on both sides, call it in every way, and remove it').conflicts([
        'inventory',
        'source',
        'target',
      ]),
    )
    .addOption(
      new Option('--probe-image <image>', 'of that workload: agnhost, from a registry that both sides reach')
        .default(PROBE_IMAGE)
        .env('MIGRATE_PROBE_IMAGE'),
    )
    .action((typed, flags) =>
      perform({ command: 'preflight', writes: flags.probe === true }, flags, (io) => preflight(typed, flags, io)),
    );

  add(
    'plan',
    LOOK,
    'ordered steps, what each changes, how each is undone, and the shares that can be reached',
    playbookFlag,
    worldFlags,
    (it) => screenFlags(it, { file: 'the plan' }),
  )
    .argument('[playbook]', 'file or name')
    .addOption(inventoryFlag())
    .option('--preview', 'what each object will meet: created, changed and by which rule, skipped, refused and why')
    .action((typed, flags) =>
      perform({ command: 'plan' }, flags, async (io) => {
        const options = await load(typed, flags, io);
        const { planAct } = await import('./looking.js');
        return planAct(
          {
            ...options,
            ...(await captured(flags)),
            ...(flags.output.file !== undefined && { output: flags.output.file }),
            ...(flags.preview && { preview: true }),
          },
          io,
        );
      }),
    );

  add(
    'rehearse',
    LOOK,
    'run the whole plan on a twin of both clusters, with clients that count every lost request',
    playbookFlag,
    screenFlags,
  )
    .argument('[playbook]', 'file or name')
    .addOption(
      new Option('--inventory <file>', 'a captured inventory instead of PLAYBOOK.world.yaml').env('MIGRATE_INVENTORY'),
    )
    .addOption(new Option('--back', 'and all the way back; the worlds before and after are compared'))
    .addOption(watchFlag())
    .addOption(
      new Option('--fault <kinds>', 'let requests meet faults: refuse, cut, lose, slow, all').argParser((typed) =>
        typed.split(',').map((it) => oneOf('--fault', ['refuse', 'cut', 'lose', 'slow', 'all'], it)),
      ),
    )
    .addOption(
      new Option('--seed <number>', 'draws faults and latencies; the same number gives the same run')
        .default(1)
        .env('MIGRATE_SEED')
        .argParser((typed) => wholeNumber('--seed', typed)),
    )
    .action((typed, flags) =>
      perform({ command: 'rehearse' }, flags, async (io) =>
        (await import('./rehearsal.js')).rehearsal(
          { file: findPlaybook(typed ?? flags.playbook, shippedFolder()), ...flags },
          io,
        ),
      ),
    );

  add('run', MOVE, 'do the plan, or go on where it stopped', playbookFlag, worldFlags, writingFlags, screenFlags)
    .argument('[plan]', 'a plan that was reviewed; refused when the world has moved since')
    .addOption(approveFlag())
    .addOption(watchFlag())
    .addOption(
      new Option('--phase <phases>', 'only these: preflight, data, traffic').argParser((typed) =>
        typed.split(',').map((it) => oneOf('--phase', PHASES, it.trim())),
      ),
    )
    .action((typed, flags) => perform({ command: 'run', writes: true }, flags, (io) => run(typed, flags, io)));

  add(
    'shift',
    MOVE,
    'move the share of new connections now, up or down',
    playbookFlag,
    worldFlags,
    writingFlags,
    screenFlags,
  )
    .addOption(
      new Option('--to <percent>', "the target's share")
        .makeOptionMandatory()
        .argParser((typed) => percentOf('--to', typed)),
    )
    .addOption(new Option('--service <namespace/name>', 'one service (default: all of the playbook)'))
    .addOption(new Option('--stepwise', "take the playbook's steps on the way, with their holds"))
    .addOption(approveFlag())
    .addOption(watchFlag())
    .addOption(new Option('--source-down', 'the source is dead: weigh its members past it, at the load balancer'))
    .action((flags) =>
      perform({ command: 'shift', writes: true }, flags, async (io) => {
        const options = await load(undefined, flags, io);
        const { to, service, stepwise = false, sourceDown = false, approve } = flags;
        return (await import('./shift-act.js')).shiftAct(
          {
            ...options,
            to,
            stepwise,
            ...(approve && { approve }),
            sourceDown,
            ...(service !== undefined && { service }),
          },
          io,
        );
      }),
    );

  add('rollback', MOVE, 'undo in reverse order, from the journal', playbookFlag, worldFlags, writingFlags, screenFlags)
    .addOption(new Option('--to <step>', 'the step that stays (default: undo everything)'))
    .addOption(new Option('--accept-loss', 'what the target wrote past a point of no return may be lost'))
    .addOption(new Option('--delete-copies', 'delete the snapshots and disks that were made, too (default: keep)'))
    .action((flags) =>
      perform({ command: 'rollback', writes: true }, flags, async (io) => {
        const { to, acceptLoss, deleteCopies } = flags;
        return (await import('./rollback-act.js')).rollbackAct(
          {
            ...(await load(undefined, flags, io)),
            ...(to !== undefined && { to }),
            ...(acceptLoss && { acceptLoss }),
            ...(deleteCopies && { deleteCopies }),
          },
          io,
        );
      }),
    );

  add(
    'complete',
    MOVE,
    'after the soak: retire the source; the point of no return',
    playbookFlag,
    worldFlags,
    writingFlags,
    screenFlags,
  )
    .addOption(new Option('--keep-both', 'retire nothing: both sides stay, with the weights that they have'))
    .action((flags) =>
      perform({ command: 'complete', writes: true }, flags, async (io) =>
        (await import('./complete-act.js')).completeAct(
          { ...(await load(undefined, flags, io)), keepBoth: flags.keepBoth === true },
          io,
        ),
      ),
    );

  add(
    'status',
    LOOK,
    'where the run stands, what it waits for and why, the share now, the next command',
    playbookFlag,
    worldFlags,
    stateFlag,
    screenFlags,
  )
    .addOption(new Option('-w, --watch', 'a live view, until the run ends'))
    .action((flags) =>
      perform({ command: 'status' }, flags, async (io) =>
        (await import('./status.js')).status(
          { ...(await load(undefined, flags, io)), watch: flags.watch === true },
          io,
        ),
      ),
    );

  add(
    'doctor',
    MOVE,
    'compare journal and world, name half-done steps and debts, offer forward or back',
    playbookFlag,
    worldFlags,
    writingFlags,
    screenFlags,
  )
    .addOption(new Option('--repair <direction>', 'without asking: forward or back').choices(['forward', 'back']))
    .action((flags) =>
      perform({ command: 'doctor', writes: true }, flags, async (io) =>
        (await import('./doctor.js')).doctor(
          { ...(await load(undefined, flags, io)), ...(flags.repair !== undefined && { repair: flags.repair }) },
          io,
        ),
      ),
    );

  add('explain', LEARN, 'a check or an error: why, how found, what to do, source', screenFlags)
    .argument('[code]', 'a check or an error code; all of them without')
    .action((code, flags) =>
      perform({ command: 'explain' }, flags, async (io) => (await import('./explain.js')).explain(code, flags, io)),
    );

  add(
    'twin',
    LEARN,
    'start the embedded clusters and cloud, print a kubeconfig and endpoints',
    playbookFlag,
    screenFlags,
  )
    .argument('[playbook]', 'file or name; its PLAYBOOK.world.yaml is what the twin starts from')
    .addOption(new Option('--world <file>', 'another world').conflicts('inventory'))
    .addOption(new Option('--inventory <file>', 'a captured inventory').env('MIGRATE_INVENTORY'))
    .addOption(new Option('--kubeconfig <file>', 'where to write the kubeconfig').default('twin.kubeconfig'))
    .action((typed, flags) =>
      perform({ command: 'twin', serves: true }, flags, async (io) =>
        (await import('./twin.js')).twin({ ...flags, shipped: shippedFolder(), typed: typed ?? flags.playbook }, io),
      ),
    );

  add('completion', LEARN, 'completion for a shell: bash, zsh or fish')
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell) => {
      const { completion } = await import('./completion.js');
      process.stdout.write(completion(oneOf('SHELL', ['bash', 'zsh', 'fish'], shell), program));
    });

  help(program);
  return program;
}

const PHASES = ['preflight', 'data', 'traffic'] as const;

const inventoryFlag = () =>
  new Option('--inventory <file>', 'offline, over a captured inventory').env('MIGRATE_INVENTORY');

const approveFlag = () =>
  new Option('--approve <steps>', 'let these steps go on: ids, with commas; who and when is journalled').argParser(
    listOf,
  );

const watchFlag = () =>
  new Option('-w, --watch', 'a live view of the shares, their gates and what comes next; plain lines off a terminal');

async function captured({ inventory }: { inventory?: string }) {
  return inventory === undefined ? {} : { inventory: (await import('./worlds.js')).readInventory(inventory) };
}

async function written({ manifests }: { manifests?: string }) {
  return manifests === undefined ? {} : { manifests: (await import('./manifests.js')).readManifests(manifests) };
}

/** The playbook and what all bodies share. */
async function load(typed: string | undefined, flags: Flags, io: Io): Promise<CommonOptions> {
  const file = findPlaybook(typed ?? flags.playbook);
  const playbook = await readPlaybook(file);
  io.emit({ type: 'playbook', name: playbook.name, file });
  return { playbook, ...common(flags, io) };
}

const common = (flags: Flags, io: Io): Omit<CommonOptions, 'playbook'> => ({
  ...(flags.kubeconfig !== undefined && { kubeconfig: flags.kubeconfig }),
  ...(flags.state !== undefined && { stateDir: flags.state }),
  ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
  ...(flags.takeOver !== undefined && { takeOver: flags.takeOver }),
  ...(flags.yes === true && { yes: true }),
  ...(flags.verbose === true && { onCall: (call) => io.note(`${call.to} ${call.verb} ${call.what}`) }),
});

async function run(
  typed: string | undefined,
  flags: Flags & { phase?: (typeof PHASES)[number][]; approve?: string[] },
  io: Io,
) {
  const [{ runAct }, { preflightAct }] = await Promise.all([import('./run-act.js'), import('./looking.js')]);
  const plan = typed === undefined ? undefined : await readPlan(typed);
  // A variable that is set for the other commands is no contradiction; a flag that was typed is.
  if (plan && flags.playbook !== undefined && flags.playbook !== process.env['MIGRATE_PLAYBOOK'])
    throw usage(
      'Both a plan and --playbook were given.',
      'A plan holds the playbook that it was made from.',
      'Leave one of them out.',
    );
  const options = plan ? { playbook: plan.playbook, plan, ...common(flags, io) } : await load(undefined, flags, io);
  if (plan) io.emit({ type: 'playbook', name: plan.name, file: typed ?? '' });
  const { phase, approve } = flags;
  if (phase && phase.every((it) => it === 'preflight')) return preflightAct(options, io);
  const phases = phase?.filter((it) => it !== 'preflight') satisfies Phase[] | undefined;
  return runAct({ ...options, ...(phases && { phases }), ...(approve && { approve }) }, io);
}

interface PreflightFlags extends Flags {
  probe?: boolean;
  probeImage: string;
  inventory?: string;
  manifests?: string;
  source?: string;
  target?: string;
  only?: string[];
  skip?: string[];
  failOn?: 'none' | 'refuse' | 'unknown' | 'warn';
  diff?: string;
  checks?: string;
}

async function preflight(typed: string | undefined, flags: PreflightFlags, io: Io) {
  const [{ preflightAct }, { chooseChecks, loadChecks, reportIn }, { sidesOf }, { checks: shipped }] =
    await Promise.all([
      import('./looking.js'),
      import('./choosing.js'),
      import('./captured.js'),
      import('../../checks/index.js'),
    ]);
  const { only, skip, failOn } = flags;
  const all = flags.checks === undefined ? shipped : [...shipped, ...(await loadChecks(flags.checks, shipped))];
  const asked = chooseChecks(all, { ...(only && { only }), ...(skip && { skip }) });
  const { readInventory } = await import('./worlds.js');
  const side = (file: string | undefined) => (file === undefined ? undefined : readInventory(file));
  const sides = sidesOf(side(flags.source), side(flags.target));
  const { readText } = await import('./playbooks.js');
  const last =
    flags.diff === undefined ? undefined : reportIn(readText(flags.diff, 'REPORT_INVALID', 'The report'), flags.diff);
  return preflightAct(
    {
      ...(await load(typed, flags, io)),
      ...(await captured(flags)),
      ...(await written(flags)),
      ...(flags.probe === true && { probe: flags.probeImage }),
      asked,
      captured: sides,
      leftOut: all.length - asked.length,
      ...(last && { last }),
      ...(failOn && { failOn }),
    },
    io,
  );
}

const listOf = (typed: string) =>
  typed
    .split(',')
    .map((it) => it.trim())
    .filter((it) => it !== '');

async function readPlan(file: string) {
  const [{ parsePlan }, { readText }] = await Promise.all([import('../plan.js'), import('./playbooks.js')]);
  return parsePlan(readText(file, 'PLAN_INVALID', 'The plan'), file);
}

function help(program: Command): void {
  const of = (name: string) => program.commands.find((it) => it.name() === name) ?? program;
  examples(
    of('init'),
    ['asks for what it can not see', 'migrate init --source ack-120 --target ack-136'],
    [
      'no questions',
      'migrate init --source ack-120 --target ack-136 --namespaces shop,pay --service shop/web --file shop.yaml',
    ],
  );
  examples(of('validate'), ['all complaints at once', 'migrate validate playbooks/shop.yaml']);
  examples(of('inventory'), [
    'one file to plan, check and rehearse with, offline',
    'migrate inventory -o shop.inventory.json',
  ]);
  examples(
    of('preflight'),
    ['both clusters, read only', 'migrate preflight'],
    ['and what Git will apply to the target', 'migrate preflight --manifests deploy/'],
    ['for a code scanning page', 'migrate preflight -o sarif > preflight.sarif'],
    ['to paste into a ticket', 'migrate preflight -o markdown'],
  );
  examples(of('plan'), ['to read', 'migrate plan'], ['to review, and to run later', 'migrate plan -o plan.json']);
  examples(
    of('rehearse'),
    ['a whole move, nothing real is touched', 'migrate rehearse shop'],
    ['there and all the way back, with faults', 'migrate rehearse shop --back --fault all --seed 7'],
    ['on a twin of your own clusters', 'migrate rehearse --inventory shop.inventory.json'],
  );
  examples(
    of('run'),
    ['what was reviewed', 'migrate run plan.json'],
    ['only the data', 'migrate run --phase data'],
    ['from CI', 'migrate run plan.json --yes -o json'],
    ['a step that waits for a yes', 'migrate run --approve traffic/20'],
    ['and see how it goes', 'migrate run --watch'],
  );
  examples(
    of('shift'),
    ['a fifth of the new connections', 'migrate shift --to 20'],
    ['back to the source at once', 'migrate shift --to 0'],
    ['the source died: all to the target', 'migrate shift --to 100 --source-down'],
    ['one service, by the steps of the playbook', 'migrate shift --to 50 --service shop/web --stepwise'],
  );
  examples(
    of('rollback'),
    ['everything', 'migrate rollback'],
    ['as far as a step, which stays', 'migrate rollback --to traffic/attach'],
  );
  examples(
    of('complete'),
    ['after the soak', 'migrate complete'],
    ['two clusters for good', 'migrate complete --keep-both'],
  );
  examples(
    of('status'),
    ['once', 'migrate status'],
    ['in CI: 0 done, 3 stopped, 4 running or waiting', 'migrate status -o json'],
  );
  examples(
    of('doctor'),
    ['compare, then ask', 'migrate doctor'],
    ['finish what is half done', 'migrate doctor --repair forward --yes'],
  );
  examples(
    of('explain'),
    ['a check', 'migrate explain removed-apis'],
    ['an error, in Chinese', 'migrate explain LOCK_HELD --lang zh'],
    ['all of them', 'migrate explain'],
  );
  examples(of('twin'), ['two clusters and a cloud to play with', 'migrate twin shop']);
  examples(
    of('completion'),
    ['for this shell', 'source <(migrate completion bash)'],
    ['zsh', 'migrate completion zsh > "${fpath[1]}/_migrate"'],
    ['fish', 'migrate completion fish > ~/.config/fish/completions/migrate.fish'],
  );
}
