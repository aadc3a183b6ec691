import { stringify } from 'yaml';
import { comesAsStored, expectedOf, handmade, neededOfCluster, rulesFor, travelling, wavesOf } from './apps.js';
import { arrival } from './arriving.js';
import type {
  BackupArgs,
  ConvertArgs,
  ManifestArgs,
  Passing,
  RestoreArgs,
  RulesArgs,
  ScaleArgs,
  Workload,
  WrittenArgs,
} from './args.js';
import { type Add, workloadsOf } from './data.js';
import { type Brought, importedSteps, importSteps, isBound, movedOf } from './disk-steps.js';
import { MigrateError } from './errors.js';
import { inertRules, namedRules, passageFor } from './inert.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import type { NamedRule } from './modifiers.js';
import { raisedByShares } from './mcs.js';
import { pathOf, splitKind } from './objects.js';
import { heldWorkloads } from './one-side.js';
import { refIn } from './passing.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind } from './ports.js';
import { EXCLUDED_RESOURCES } from './travel.js';
import { count } from './words.js';

/** Applications as steps of the data phase: what the cluster lacks, the backup, its restores, what a restore can't bring, the start. */

interface Making {
  playbook: Playbook;
  data: PlaybookData;
  inventory: Inventory;
  add: Add;
  /** grows */
  notes: string[];
}

export interface AppSteps {
  /** the step after which disks may be quiesced; none where applications are applied from files */
  first: string | undefined;
  /** adds all that comes once the volumes are there */
  bring(volumes: string[], brought: Brought[]): void;
}

/** @throws MigrateError PLAN_RULE_FAILS */
export function appSteps(making: Making): AppSteps {
  const { playbook, data, inventory, add, notes } = making;
  const { steps: needed, notes: clusterNotes } = neededOfCluster(playbook, inventory);
  notes.push(...clusterNotes);
  const rules = namedRules(playbook, inventory);
  const addNeeded = (what: ConvertArgs['what'], after: string[]): string[] =>
    needed
      .filter((it) => it.what === what)
      .map((it) => add<ConvertArgs>(what, 'convert', { ...it, rules: rulesFor(it.passing, rules) }, after));
  const definitions = addNeeded('definitions', []);
  const before = [...definitions, ...addNeeded('cluster', [])];

  if (data.apps === 'manifests') {
    return {
      first: undefined,
      bring(volumes, brought) {
        const { manifests = '' } = data;
        const args = {
          name: playbook.name,
          from: manifests,
          namespaces: data.namespaces,
          deadlineMs: data.velero.deadline,
          rules,
        };
        const later = [...heldWorkloads(playbook)];
        const moved = movedOf(brought, data.namespaces);
        const running = data.arrive === 'running' && { running: true as const, ...(moved && { moved }) };
        const applied = add<ManifestArgs>('manifests', 'manifests', { what: 'apply', ...args, ...running }, [
          ...before,
          ...volumes,
        ]);
        const imports = importSteps(brought, add, applied);
        const ready = imports.length > 0 ? imports : [applied];
        if (data.arrive === 'stopped')
          add<ManifestArgs>(
            'start',
            'manifests',
            { what: 'start', ...args, ...(later.length > 0 && { later }), ...(moved && { moved }) },
            ready,
          );
        importedSteps(brought, add, data.arrive === 'stopped' ? ['start'] : ready);
        addNeeded('webhooks', [applied]);
      },
    };
  }

  const { passing, lost } = travelling(data, inventory);
  for (const { kind, objects } of lost)
    notes.push(`The target does not serve ${kind}, and nothing takes its place: ${objects.join(', ')} stay behind.`);
  mustApply(passing, making);
  const shared: Shared = { making, passing, rules };
  const first = addBackup(shared, before);
  return {
    first,
    bring(volumes, brought) {
      const ends = addRestores(shared, [...before, first, ...volumes], brought);
      addNeeded('webhooks', ends);
    },
  };
}

interface Shared {
  making: Making;
  passing: Passing[];
  rules: NamedRule[];
}

const veleroOf = ({ playbook, data }: Making) => ({
  namespace: data.velero.namespace,
  name: playbook.name,
  deadlineMs: data.velero.deadline,
});

/** What a restore can't bring of what travels, because the backup has it only as the source prefers it. */
const othersOf = ({ making: { data }, passing }: Shared): Passing[] =>
  data.apps === 'converted' ? [] : passing.filter((it) => !comesAsStored(it));

const excludedOf = (shared: Shared): string[] => [
  ...EXCLUDED_RESOURCES,
  ...resourceNames(
    othersOf(shared).map((it) => it.kind),
    shared.making.inventory.source,
  ),
];

function addBackup(shared: Shared, after: string[]): string {
  const { making, passing, rules } = shared;
  const { data, add } = making;
  const { storageLocation: location } = data.velero;
  const { namespaces } = data;
  if (data.apps !== 'converted')
    return add<BackupArgs>(
      'backup',
      'velero-backup',
      {
        ...veleroOf(making),
        location,
        namespaces,
        excluded: excludedOf(shared),
        expects: expectedOf(passing.filter(comesAsStored)),
      },
      [],
    );
  return add<WrittenArgs>(
    'backup',
    'written-backup',
    {
      ...veleroOf(making),
      location,
      namespaces,
      passing,
      rules: rulesFor(passing, rules),
      keepNodePorts: data.nodePorts === 'keep',
    },
    after,
  );
}

/** @returns the steps after which all runs on the target that is meant to */
function addRestores(shared: Shared, after: string[], brought: Brought[]): string[] {
  const { making, passing, rules } = shared;
  const { playbook, data, inventory, add } = making;
  const { source } = inventory;
  const written = data.apps === 'converted';
  const others = othersOf(shared);
  const ruled = written
    ? []
    : [
        add<RulesArgs>(
          'rules',
          'restore-rules',
          { ...veleroOf(making), rules: stringify(inertRules(playbook, inventory)) },
          [],
        ),
      ];
  const waves = wavesOf(data, written ? passing : passing.filter(comesAsStored), source);
  const isOne = waves.length <= 1;
  let ends: string[] = [...after, ...ruled];
  for (const [index, wave] of waves.entries()) {
    const expects = expectedOf(wave.passing);
    const last = index === waves.length - 1;
    let step = add<RestoreArgs>(
      isOne ? 'restore' : `restore/${index + 1}`,
      'velero-restore',
      {
        ...veleroOf(making),
        location: data.velero.storageLocation,
        namespaces: wave.namespaces,
        excluded: excludedOf(shared),
        expects,
        claims: brought
          .filter(isBound)
          .map((it) => it.claim)
          .filter((it) => expects['PersistentVolumeClaim']?.includes(it)),
        ...(wave.labels && { labels: wave.labels }),
        ...(!isOne && { wave: index + 1 }),
        ...(written && { written }),
        ...(data.nodePorts === 'keep' && { keepNodePorts: true }),
        ...arrivingRunning(making, wave.passing, brought),
      },
      ends,
    );
    if (last) {
      for (const [id, what, list] of [
        ['convert', 'converted', others],
        ['handmade', 'handmade', handmade(data, inventory)],
      ] as const) {
        if (list.length > 0)
          step = add<ConvertArgs>(id, 'convert', { what, passing: list, rules: rulesFor(list, rules) }, [step]);
      }
    }
    const arrived = [...wave.passing, ...(last ? others : [])];
    const own = brought.filter((it) => expects['PersistentVolumeClaim']?.includes(it.claim));
    const imports = importSteps(own, add, step);
    const ready = imports.length > 0 ? imports : [step];
    const started = isOne
      ? addStarts(making, arrived, ready, brought)
      : addStart(making, arrived, ready, brought, String(index + 1));
    ends = started.length > 0 ? started : ready;
    importedSteps(own, add, ends);
  }
  return ends;
}

/** One step for each namespace. */
const addStarts = (making: Making, arrived: Passing[], after: string[], brought: readonly Brought[]): string[] =>
  making.data.namespaces.flatMap((namespace) => addStart(making, arrived, after, brought, namespace, [namespace]));

function addStart(
  making: Making,
  arrived: Passing[],
  after: string[],
  brought: readonly Brought[],
  id: string,
  namespaces = making.data.namespaces,
): string[] {
  const { data, add } = making;
  if (data.arrive !== 'stopped') return [];
  const moved = movedOf(brought, namespaces);
  const workloads = wokenOf(making, arrived, namespaces);
  return workloads.length === 0
    ? []
    : [
        add<ScaleArgs>(
          `start/${id}`,
          'scale',
          { side: 'target', to: 'given', workloads, ...(moved && { moved }) },
          after,
        ),
      ];
}

/** Those that work on the target from then on; others wait for a step of their own. */
function wokenOf({ playbook, inventory }: Making, arrived: Passing[], namespaces: readonly string[]): Workload[] {
  const there = expectedOf(arrived);
  const later = new Set([...raisedByShares(playbook, inventory), ...heldWorkloads(playbook)]);
  return namespaces
    .flatMap((it) => workloadsOf(inventory.source, it))
    .filter((it) => it.replicas > 0 && there[it.kind]?.includes(pathOf(it)) && !later.has(`${it.kind} ${pathOf(it)}`));
}

/** Where nothing is stopped on the way the restore itself is the start. */
function arrivingRunning(
  making: Making,
  arrived: Passing[],
  brought: readonly Brought[],
): Pick<RestoreArgs, 'running' | 'moved'> {
  const { data } = making;
  if (data.arrive !== 'running') return {};
  const running = wokenOf(making, arrived, data.namespaces);
  const moved = movedOf(brought, data.namespaces);
  return running.length === 0 ? {} : { running, ...(moved && { moved }) };
}

const resourceNames = (kinds: readonly Kind[], side: ClusterInventory) =>
  kinds.flatMap((kind) => {
    const { kind: word, group } = splitKind(kind);
    const served = side.served.find((it) => it.kind === word && it.group === group);
    return served ? [group ? `${served.resource}.${group}` : served.resource] : [];
  });

/**
 * Every rule is tried on every object as the look saw it. One that would not apply stops the plan: Velero would count an error and create
 * the object as it was.
 */
function mustApply(passing: readonly Passing[], { playbook, inventory }: Making): void {
  const passage = passageFor(playbook, inventory);
  const failed: string[] = [];
  for (const { kind, objects } of passing) {
    const wanted = new Set(objects);
    for (const object of inventory.source.objects[kind] ?? []) {
      if (!wanted.has(pathOf(object.metadata))) continue;
      const { name } = refIn(pathOf(object.metadata));
      for (const it of arrival(object, passage)?.failed ?? [])
        failed.push(
          `${it.rule} on ${splitKind(kind).kind.toLowerCase()} ${object.metadata.namespace ?? ''}/${name}: ${it.why}`,
        );
    }
  }
  if (failed.length === 0) return;
  throw new MigrateError('PLAN_RULE_FAILS', {
    what: `${count(failed.length, 'rule')} would not apply: ${failed.slice(0, 5).join('; ')}${failed.length > 5 ? '; …' : ''}.`,
    why: 'Velero counts a rule that fails as one error among others, and creates the object unmodified: it could go live as it was.',
    fix: 'Mend `data.rules` in the playbook: use mergePatches, or name paths that every object it means has.',
  });
}
