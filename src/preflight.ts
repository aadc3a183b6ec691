import {
  isSkipped,
  isUnknown,
  Unknown,
  type Check,
  type CheckText,
  type Finding,
  type Needs,
  type Severity,
  type Sight,
  type SideSight,
} from './check.js';
import { takenOf, type Fold, type Judge, type SideKind } from './fold.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { movedNamespaces } from './look.js';
import type { Playbook, Waiver } from './playbook.js';
import type { Kind, KubeObject, ServedKind, Side } from './ports.js';
import { nearest } from './words.js';

/**
 * Asks all checks. Pure: everything was seen before, so a report can be made again from a captured inventory, today or in
 * a year, and gives the same answers for the same date.
 */

export type Outcome = 'pass' | 'warn' | 'refuse' | 'unknown' | 'skipped' | 'waived';

export interface JudgedFinding extends Finding {
  severity: Severity;
  waivedBy?: { owner: string; until: string; because: string };
}

export interface CheckResult {
  /** the check's id */
  check: string;
  group: CheckText['group'];
  asks: string;
  before: CheckText['before'];
  /** the worst of the findings that no waiver covers */
  outcome: Outcome;
  findings: JudgedFinding[];
  /** why it is unknown or skipped */
  why?: string;
  /** the check itself failed, with this stack: our bug, never the operator's */
  bug?: string;
}

export interface Report {
  results: CheckResult[];
  /** how many checks came out as what; but `waived` counts findings, for a check can have others beside them */
  counts: Record<Outcome, number>;
  /** nothing refused and nothing unknown */
  ready: boolean;
}

export interface Asked {
  playbook: Playbook;
  inventory: Inventory;
  /** ISO date */
  today: string;
  /** the rights that the plan needs; `rights` compares them with the answers in the inventory */
  needs: Needs;
}

/** Not in the list of checks, for it looks at their answers; here so that `explain` can tell of it. */
export const WAIVERS: CheckText = {
  id: 'waivers',
  group: 'access',
  asks: 'Is every waiver in force, and does it cover something?',
  before: 'data',
  severity: 'warn',
  hint: {
    why: 'A waiver that has expired covers nothing any more. One that matches no finding is misspelt, or its cause is gone and it would hide the next one.',
    fix: 'Delete the waiver, renew its date, or write `about` exactly as the finding names the object.',
  },
  zh: {
    asks: '每条豁免是否仍然有效，并且确实对应某个检查结果？',
    why: '过期的豁免不再起作用；匹配不到任何结果的豁免，要么写错了，要么问题已经消失，留着只会掩盖以后的问题。',
    fix: '删除该豁免、更新到期日，或将 about 写成与检查结果中的对象名完全一致。',
  },
  sources: ['playbooks/shop.yaml'],
};

/**
 * @param heard  what checks said of objects that are no longer in the inventory
 * @returns one result per check in the order of `checks`, then that of the waivers
 */
export function askAll(checks: readonly Check[], asked: Asked, heard?: Heard): Report {
  const sight = sightOf(asked);
  const inForce = asked.playbook.preflight.waive.filter((it) => asked.today <= it.until);
  const results = checks.map((check) =>
    ask(
      check,
      heard ? sightOf({ ...asked, inventory: heard.restFor(check, asked.inventory) }) : sight,
      inForce,
      heard?.said.get(check.id),
    ),
  );
  results.push(judgeWaivers(asked, results));
  const counts = count(results);
  return { results, counts, ready: counts.refuse === 0 && counts.unknown === 0 };
}

function count(results: readonly CheckResult[]): Report['counts'] {
  const counts = { pass: 0, warn: 0, refuse: 0, unknown: 0, skipped: 0, waived: 0 };
  for (const { outcome, findings } of results) {
    if (outcome !== 'waived') counts[outcome]++;
    counts.waived += findings.filter((it) => it.waivedBy).length;
  }
  return counts;
}

function ask(check: Check, sight: Sight, waivers: readonly Waiver[], heard?: Said): CheckResult {
  const { id, group, asks, before } = check;
  const head = { check: id, group, asks, before };
  const mine = waivers.filter((it) => it.check === id);
  const missing = check.when?.find((section) => !sight.playbook[section]);
  if (missing) return { ...head, outcome: 'skipped', findings: [], why: `the playbook has no \`${missing}\`` };
  if (sight.playbook.source.context === '' && isAboutCluster(check.reads.source))
    return { ...head, outcome: 'skipped', findings: [], why: 'the source is servers outside any cluster' };
  try {
    requireSeen(check, sight);
    if (heard?.failed !== undefined) throw heard.failed;
    const findings = withHeard(heard, () => check.look(sight)).map((finding) => judge(finding, check.severity, mine));
    return { ...head, outcome: worst(findings), findings };
  } catch (error) {
    if (isSkipped(error)) return { ...head, outcome: 'skipped', findings: [], why: error.message };
    if (isUnknown(error)) return unknown(head, error.message, mine);
    // A check that fails has not passed; the rest of the report is still worth having.
    const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...head, outcome: 'unknown', findings: [], why: `the check itself failed: ${String(error)}`, bug };
  }
}

/** A check that looks at no more than a Service there is about the load balancer, and does without one. */
const isAboutCluster = (kinds: readonly Kind[] = []): boolean => kinds.some((it) => it !== 'Service');

/** What could not be seen has no object to name, so its waiver says `about: unknown`. */
function unknown(
  head: Pick<CheckResult, 'check' | 'group' | 'asks' | 'before'>,
  why: string,
  waivers: readonly Waiver[],
): CheckResult {
  const waiver = waivers.find((it) => it.about === 'unknown');
  if (!waiver) return { ...head, outcome: 'unknown', findings: [], why };
  const finding: JudgedFinding = { about: 'unknown', saw: why, severity: 'refuse', waivedBy: waivedBy(waiver) };
  return { ...head, outcome: 'waived', findings: [finding], why };
}

/** What a check said of portions comes first; of the rest, which it saw beside each portion, it is heard once. */
function withHeard(heard: Said | undefined, look: () => Finding[]): Finding[] {
  if (!heard) return look();
  let rest: Finding[] = [];
  try {
    rest = look();
  } catch (error) {
    // Of the rest alone its question does not arise; of what it has been shown it did.
    if (!isSkipped(error)) throw error;
  }
  const again = new Set(rest.map((it) => JSON.stringify(it)));
  return [...[...heard.findings].filter(([key]) => !again.has(key)).map(([, it]) => it), ...rest];
}

const waivedBy = ({ owner, until, because }: Waiver) => ({ owner, until, because });

function judge(finding: Finding, severity: Severity, waivers: readonly Waiver[]): JudgedFinding {
  const waiver = waivers.find((it) => it.about === finding.about);
  return { ...finding, severity: finding.severity ?? severity, ...(waiver && { waivedBy: waivedBy(waiver) }) };
}

function worst(findings: readonly JudgedFinding[]): Outcome {
  if (findings.length === 0) return 'pass';
  const open = findings.filter((it) => !it.waivedBy);
  if (open.length === 0) return 'waived';
  return open.some((it) => it.severity === 'refuse') ? 'refuse' : 'warn';
}

function judgeWaivers({ playbook, today }: Asked, results: readonly CheckResult[]): CheckResult {
  const findings = playbook.preflight.waive.flatMap((waiver): JudgedFinding[] => {
    const saw = troubleWith(waiver, today, results);
    return saw === undefined
      ? []
      : [{ about: `waiver ${waiver.check}: ${waiver.about}`, saw, severity: WAIVERS.severity }];
  });
  const { id, group, asks, before } = WAIVERS;
  return { check: id, group, asks, before, outcome: worst(findings), findings };
}

function troubleWith(waiver: Waiver, today: string, results: readonly CheckResult[]): string | undefined {
  if (today > waiver.until) return `expired on ${waiver.until}; ${waiver.owner} owned it`;
  const result = results.find((it) => it.check === waiver.check);
  if (!result) {
    const meant = nearest(
      waiver.check,
      results.map((it) => it.check),
    );
    return `there is no check of that name${meant ? `; did you mean ${meant}?` : ''}`;
  }
  // What was not looked at may still hold what the waiver is for.
  if (result.outcome === 'unknown' || result.outcome === 'skipped') return undefined;
  if (result.findings.some((it) => it.about === waiver.about)) return undefined;
  const meant = nearest(
    waiver.about,
    result.findings.map((it) => it.about),
  );
  return `${waiver.check} found nothing about it${meant ? `; did you mean "${meant}"?` : ''}`;
}

/** `Deployment.apps`, `Service`: the name of a kind in whatever version. */
export const kindServed = ({ kind, group }: Pick<ServedKind, 'kind' | 'group'>): Kind =>
  group ? `${kind}.${group}` : kind;

function requireSeen({ reads }: Check, sight: Sight): void {
  for (const side of [sight.source, sight.target])
    for (const kind of reads[side.side] ?? []) if (kind !== '*') side.list(kind);
  if (reads.cloud) sight.cloud();
}

/** What a check said while objects came by: its findings, each once, or why it could not go on. */
export interface Said {
  findings: Map<string, Finding>;
  failed?: unknown;
}

export interface Heard {
  /** by the ids of checks */
  said: Map<string, Said>;
  /** what a check has not been shown yet: without the kinds that came by, but for what stays */
  restFor(check: Check, inventory: Inventory): Inventory;
}

/**
 * Asks, of each portion, the checks that take its kind one by one. What else they take so they see without it, but for what stays; all
 * other kinds they see as they are held.
 *
 * @param asked  its inventory grows as it is read
 */
export function listenTo(
  checks: readonly Check[],
  asked: Asked,
  fold: Pick<Fold, 'stays'>,
): { judge: Judge; heard: Heard } {
  const said = new Map<string, Said>();
  const cameBy = new Set<string>();
  const views = new Map<string, Inventory>();
  const picked = new Map<string, KubeObject[]>();
  const portioned = (at: SideKind) => cameBy.has(keyOf(at));
  const view = (check: Check, inventory: Inventory, shown: (at: SideKind) => boolean) =>
    viewOf(
      inventory,
      (at) => {
        const taken = takenOf(check.takes, at);
        if (taken === 'whole' || taken === 'some' || typeof taken === 'object') return 'all';
        if (typeof taken === 'function') return portioned(at) ? (picked.get(`${check.id} ${keyOf(at)}`) ?? []) : 'all';
        return shown(at) ? [] : 'all';
      },
      fold,
    );
  const judge: Judge = (at, some) => {
    cameBy.add(keyOf(at));
    for (const check of checks) {
      if (!readsIt(check, at) || check.when?.some((section) => !asked.playbook[section])) continue;
      const taken = takenOf(check.takes, at);
      const key = `${check.id} ${keyOf(at)}`;
      if (typeof taken === 'function') {
        const kept = picked.get(key) ?? [];
        kept.push(...some.flatMap((it) => taken(it) ?? []));
        picked.set(key, kept);
      }
      if (taken !== 'each') continue;
      const mine: Said = said.get(check.id) ?? { findings: new Map() };
      if (mine.failed !== undefined) continue;
      const beside = views.get(key) ?? view(check, asked.inventory, () => true);
      views.set(key, beside);
      try {
        for (const it of check.look(sightOf({ ...asked, inventory: joined(beside, at, some) })))
          mine.findings.set(JSON.stringify(it), it);
      } catch (error) {
        if (isSkipped(error)) continue;
        mine.failed = error;
      }
      said.set(check.id, mine);
    }
  };
  return { judge, heard: { said, restFor: (check, inventory) => view(check, inventory, portioned) } };
}

const keyOf = ({ side, kind }: SideKind) => `${side} ${kind}`;

const readsIt = ({ reads, also }: Check, { side, kind }: SideKind) =>
  [reads[side], also?.[side]].some((kinds) => kinds?.includes(kind) || kinds?.includes('*'));

/** An inventory in which of some kinds no more is seen than what stays, and what is given in place of the rest. */
function viewOf(
  inventory: Inventory,
  seen: (at: SideKind) => 'all' | readonly KubeObject[],
  fold: Pick<Fold, 'stays'>,
): Inventory {
  const of = (side: Side): ClusterInventory => {
    const { objects, served } = inventory[side];
    const namespaced = new Set(served.filter((it) => it.namespaced).map(kindServed));
    const shown = Object.entries(objects).map(([kind, all]) => {
      const rest = namespaced.has(kind) ? seen({ side, kind }) : 'all';
      return [kind, rest === 'all' ? all : [...all.filter(fold.stays), ...rest]] as const;
    });
    return { ...inventory[side], objects: Object.fromEntries(shown) };
  };
  return { ...inventory, source: of('source'), target: of('target') };
}

const joined = (inventory: Inventory, { side, kind }: SideKind, some: readonly KubeObject[]): Inventory => ({
  ...inventory,
  [side]: {
    ...inventory[side],
    objects: { ...inventory[side].objects, [kind]: [...(inventory[side].objects[kind] ?? []), ...some] },
  },
});

export function sightOf({ playbook, inventory, today, needs }: Asked): Sight {
  const cloud = () => {
    if (!inventory.cloud) throw new Unknown('the cloud was not captured');
    return inventory.cloud;
  };
  return {
    playbook,
    source: sideSight('source', inventory.source),
    target: sideSight('target', inventory.target),
    namespaces: movedNamespaces(playbook),
    cloud,
    loadBalancer(id) {
      const found = cloud().loadBalancers.find((it) => it.id === id);
      if (found) return found;
      const missed = cloud().unseen.find((it) => it.what === id);
      if (missed?.absent) return undefined;
      throw new Unknown(`load balancer ${id}: ${missed?.why ?? 'was not captured'}`);
    },
    today,
    takenAt: inventory.takenAt,
    needs,
    probes: inventory.probes,
    databases() {
      if (!inventory.databases) throw new Unknown('the databases were not asked');
      return inventory.databases;
    },
  };
}

/** Lists that were asked for an object by its name, by the names of all: of ten thousand Secrets, ten thousand workloads name one. */
const byName = new WeakMap<readonly KubeObject[], Map<string, KubeObject[]>>();

function named(list: readonly KubeObject[], name: string): readonly KubeObject[] {
  if (list.length < 20) return list.filter((it) => it.metadata.name === name);
  let names = byName.get(list);
  if (!names) {
    names = new Map();
    for (const it of list) names.set(it.metadata.name, [...(names.get(it.metadata.name) ?? []), it]);
    byName.set(list, names);
  }
  return names.get(name) ?? [];
}

function sideSight(side: Side, inventory: ClusterInventory): SideSight {
  const served = () => {
    if (inventory.served.length === 0) throw new Unknown(`${side}: what the API server serves was not captured`);
    return inventory.served;
  };
  const serves = (kind: Kind) => {
    if (served().some((it) => kindServed(it) === kind)) return true;
    const [, group = 'v1'] = /^[^.]+\.(.+)$/.exec(kind) ?? [];
    const failed = inventory.unseen.find((it) => it.kind === `*.${group}`);
    if (failed) throw new Unknown(`${side}: what the API server serves in ${group}: ${failed.why}`);
    return false;
  };
  const list = (kind: Kind, namespaces?: readonly string[]) => {
    const missed = inventory.unseen.find((it) => it.kind === kind);
    const objects = inventory.objects[kind];
    if (missed || !objects) {
      if (!serves(kind)) return [];
      throw new Unknown(`${side}: ${kind}: ${missed?.why ?? 'was not captured'}`);
    }
    return namespaces ? objects.filter((it) => namespaces.includes(it.metadata.namespace ?? '')) : objects;
  };
  return {
    side,
    version: inventory.version,
    minor() {
      const found = /^v?1\.(\d+)(?:\D|$)/.exec(inventory.version);
      if (!found) throw new Unknown(`${side}: version "${inventory.version}" is not one of Kubernetes 1.x`);
      return Number(found[1]);
    },
    list,
    get: (kind, namespace, name) =>
      named(list(kind), name).find((it) => namespace === undefined || it.metadata.namespace === namespace),
    served,
    serves,
    seen(kind, namespaces) {
      try {
        return list(kind, namespaces);
      } catch (error) {
        if (isUnknown(error)) return undefined;
        throw error;
      }
    },
    whole: (kind) => inventory.everywhere?.includes(kind) ?? false,
    inventory,
  };
}
