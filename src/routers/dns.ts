import {
  chooseWeights,
  dnsRoutes,
  foreseeDns,
  hostOf,
  orderOf,
  settingOf,
  sidesOf,
  splitOf,
  weightOf,
  type DnsName,
  type DnsRoute,
  type DnsSetting,
  type Weights,
} from '../dns.js';
import { MigrateError } from '../errors.js';
import { otherSide, SIDES, type DnsRecord, type DnsRecords, type Side, type World } from '../ports.js';
import { measured, type Reading, type Router, wakesLater } from '../router.js';
import type { StepContext } from '../step.js';
import { spell } from '../words.js';
import { join, leave } from './dns-join.js';
import { readyPods } from './services.js';

/**
 * Splits DNS answers by the weights of two records at Alibaba Cloud DNS. A write is in force at the authority at once, and at a resolver
 * when what it keeps runs out: the plan says how long that takes, and no more is ever claimed. The target's own servers are not needed on
 * the way back.
 */
export const dns: Router<DnsRoute, DnsSetting> = {
  name: 'dns',
  traits: ({ ttlS }) => ({
    unit: 'weight',
    min: 1,
    max: 100,
    zero: 'removal',
    splits: 'answers',
    proof: 'authority',
    bitesMs: ttlS * 1000 + AUTHORITY_MS,
  }),

  routes: (entries, playbook, inventory) =>
    dnsRoutes(
      entries.filter((it) => it.router === 'dns'),
      playbook,
      inventory,
    ),
  foresee: (route, ask, from, _playbook, inventory) => foreseeDns(route, ask, from, inventory),
  rights: () => ({ source: PODS_RIGHTS, target: PODS_RIGHTS }),

  async joined(route, world) {
    const sets = await readSets(route, world);
    return sets.every(({ name, records }) => records.weighted && sidesOf(name, records).target !== undefined);
  },
  join,
  leave,
  ready: readyPods,

  async read(route, world) {
    const splits = (await readSets(route, world)).map(({ name, records }) => splitOf(name, records));
    return { setting: settingOf(splits), splits } satisfies Reading<DnsSetting>;
  },

  async choose(_route, ask, { splits }) {
    return chooseWeights(
      ask,
      splits.map((it) => ({ from: { source: it.source.weight, target: it.target.weight }, others: it.others.weight })),
    );
  },

  async write(route, { setting }, context) {
    for (const [index, name] of route.names.entries()) {
      const wanted = setting.names[index];
      if (wanted) await setWeights(name, wanted, context);
    }
    await untilShown(route, setting, context.world);
  },

  async restore(route, was, context) {
    const { world, progress, stopping } = context;
    let emptied = false;
    for (const [index, name] of route.names.entries()) {
      const wanted = was.names[index];
      if (!wanted) continue;
      const split = splitOf(name, await world.cloud.dns.records(name));
      const now = measured(split);
      const then = (100 * wanted.target) / (wanted.source + wanted.target + split.others.weight);
      if (now < then || (now > then && !wakesLater(route, context)))
        await mustServe(now < then ? 'target' : 'source', route, world);
      await setWeights(name, wanted, context);
      emptied ||= wanted.target === 0 && split.target.weight > 0;
    }
    await untilShown(route, was, world);
    if (emptied) {
      const keepMs = Math.max(route.ttlS * 1000, route.drainMs);
      progress(`nobody is sent to the target any more; ${spell(keepMs)} for those who keep its address`);
      await waitUnless(stopping, keepMs, world);
    }
    return [];
  },
};

/** From a write until every server of the authority gives the new answer; the vendor speaks of seconds. */
const AUTHORITY_MS = 10_000;
const SHOWN_MS = 60_000;
/** How often a server is asked: enough to meet a record that should not be answered any more. */
const QUESTIONS = 20;

const PODS_RIGHTS = [
  { verb: 'get', group: '', resource: 'services' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
];

export const readSets = (route: DnsRoute, world: World): Promise<{ name: DnsName; records: DnsRecords }[]> =>
  Promise.all(route.names.map(async (name) => ({ name, records: await world.cloud.dns.records(name) })));

export function needed(side: Side, name: DnsName, record: DnsRecord | undefined): DnsRecord {
  if (record) return record;
  throw new MigrateError('DNS_RECORD_MISSING', {
    what: `${hostOf(name)} has no ${name.type} record of the ${side} (${name[side] ?? 'its address is not known'}).`,
    why: 'Somebody deleted it or gave it another value; a share can only be moved between the two records.',
    fix: 'Look at the records in the console; put it back paused, or roll back.',
  });
}

/** The weights of one name, side by side in the order that never leaves the interval between now and then. */
async function setWeights(name: DnsName, wanted: Weights, { world, progress }: StepContext): Promise<void> {
  const { dns: authority } = world.cloud;
  const records = await authority.records(name);
  const split = splitOf(name, records);
  const from = { source: split.source.weight, target: split.target.weight };
  if (from.source === wanted.source && from.target === wanted.target && records.weighted) return;
  const sides = sidesOf(name, records);
  for (const side of SIDES) if (wanted[side] > 0) needed(side, name, sides[side]);
  // Somebody turned weighting off: both records are given at once until it is on again.
  if (!records.weighted) await authority.weigh(name, true);
  for (const side of orderOf({ from, others: split.others.weight }, wanted)) {
    const record = needed(side, name, sidesOf(name, await authority.records(name))[side]);
    progress(`${hostOf(name)}: ${side} ${wanted[side] === 0 ? 'paused' : wanted[side]}`);
    await setRecord(record, wanted[side], world);
  }
}

/**
 * A paused record keeps its weight and takes no other: so it is paused with the smallest, and comes back with that.
 * @source https://www.alibabacloud.com/help/doc-detail/34316.htm (DomainRecordDisable)
 */
async function setRecord(record: DnsRecord, weight: number, { cloud }: World): Promise<void> {
  if (weight > 0) {
    if (!record.enabled) await cloud.dns.enable(record.id, true);
    if (record.weight !== weight) await cloud.dns.setWeight(record.id, weight);
  } else if (record.enabled) {
    if (record.weight !== 1) await cloud.dns.setWeight(record.id, 1);
    await cloud.dns.enable(record.id, false);
  }
}

/**
 * Until the authority shows these weights, at its API and at the servers that were named. What resolvers keep is not asked: nobody can.
 * @throws MigrateError WEIGHT_NOT_TAKEN
 */
async function untilShown(route: DnsRoute, setting: DnsSetting, world: World): Promise<void> {
  const { clock } = world;
  const deadline = clock.now() + SHOWN_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 5000)) {
    const late: string[] = [];
    for (const [index, { name, records }] of (await readSets(route, world)).entries()) {
      const wanted = setting.names[index];
      if (wanted)
        late.push(...differences(name, records, wanted), ...(await answersBeside(route, name, records, world)));
    }
    if (late.length === 0) return;
    if (clock.now() >= deadline) {
      throw new MigrateError('WEIGHT_NOT_TAKEN', {
        what: `The DNS authority does not show what was written for ${spell(SHOWN_MS)}: ${late.join('; ')}.`,
        why: 'Something else writes these records too, or the change has not reached its servers.',
        fix: 'Look at the records and the operation log in the console, then run again.',
      });
    }
    await clock.sleep(pause);
  }
}

function differences(name: DnsName, records: DnsRecords, wanted: Weights): string[] {
  const sides = sidesOf(name, records);
  return (['source', 'target'] as const).flatMap((side) => {
    const shown = weightOf(sides[side], records);
    return shown === wanted[side] ? [] : [`${hostOf(name)} shows ${side} ${shown}, not ${wanted[side]}`];
  });
}

/** Answers of the named servers that no record in force gives. */
async function answersBeside(route: DnsRoute, name: DnsName, { records }: DnsRecords, world: World): Promise<string[]> {
  const { lookUp } = world;
  if (!lookUp) return [];
  const inForce = new Set(records.filter((it) => it.enabled).map((it) => it.value));
  const found = await Promise.all(
    route.servers.map(async (server) => {
      const answers = await Promise.all(
        Array.from({ length: QUESTIONS }, () => lookUp(server, hostOf(name), name.type)),
      );
      const wrong = answers.flat().find((it) => !inForce.has(it));
      if (wrong !== undefined) return [`${server} still answers ${hostOf(name)} with ${wrong}`];
      return answers.flat().length === 0 ? [`${server} has no answer for ${hostOf(name)}`] : [];
    }),
  );
  return found.flat();
}

/** In short sleeps, so that Ctrl-C ends it. */
export async function waitUnless(stopping: () => boolean, ms: number, { clock }: World): Promise<void> {
  const until = clock.now() + ms;
  while (clock.now() < until && !stopping()) await clock.sleep(Math.min(15_000, until - clock.now()));
}

/** @throws MigrateError SIDE_CANNOT_SERVE */
async function mustServe(side: Side, route: DnsRoute, world: World): Promise<void> {
  if ((await readyPods(route, side, world)) > 0) return;
  throw new MigrateError('SIDE_CANNOT_SERVE', {
    what: `The ${side} has no ready pod behind ${route.service}; it gets no traffic.`,
    why: `Going back would send new answers to a side that can't serve; the ${otherSide(side)} serves now.`,
    fix: `Bring its pods up on the ${side}, then go back again.`,
  });
}
