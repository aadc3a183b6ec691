import { z } from 'zod';
import { command, duration, serviceName } from './formats.js';
import { splitPath } from './objects.js';
import type { Playbook } from './playbook.js';

/** The entries of `data.oneSide`: what is active on one side alone, how it is stopped, and when it changes sides. */

const OBJECT = /^[a-z][-a-z0-9.]* [^\s/]+(?:\/[^\s/]+)?$/;
const WORKLOAD = /^(?:deployment|statefulset|daemonset) [^\s/]+\/[^\s/]+$/;
/** `spec.paused`, `metadata.annotations[example.com/paused]` */
const PATH = /^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*|\[[^\]\s]+\])+$/;

const workload = z.string().regex(WORKLOAD, 'is not e.g. `deployment shop/consumer`');
const object = z.string().regex(OBJECT, 'is not `kind namespace/name`, e.g. `cronjob shop/nightly`');

const WAYS = ['workload', 'suspend', 'field', 'run'] as const;

const sideEntry = z
  .strictObject({
    /** stopped: no replicas, and its pods gone; several change sides together */
    workload: z
      .union([workload, z.array(workload).min(1, 'needs at least one workload')], {
        error: 'is a workload or a list of them, each written `deployment shop/consumer`',
      })
      .optional(),
    /** what would start it again, such as a GitOps controller: stopped by the field that its kind has for it, before the workload is */
    keptBy: z.array(object).min(1, 'needs at least one object').optional(),
    /** stopped by the field that its kind has for it: `cronjob shop/nightly`, `kustomization.kustomize.toolkit.fluxcd.io flux-system/shop` */
    suspend: object.optional(),
    /** stopped by any other field or annotation */
    field: z
      .strictObject({
        object,
        path: z.string().regex(PATH, 'is not a path, e.g. spec.paused or metadata.annotations[example.com/paused]'),
        stopped: z.union([z.boolean(), z.string(), z.number()], { error: 'is a text, a number, true or false' }),
      })
      .refine((it) => !it.path.startsWith('metadata.') || typeof it.stopped === 'string', {
        path: ['stopped'],
        error: 'is a text in labels and annotations: write it in quotes',
      })
      .optional(),
    /** a program that makes the target the active side, and `back` the source; both may be asked again */
    run: command.optional(),
    back: command.optional(),
    /** of an entry with `run`: NAMESPACE/NAME, as people call it */
    name: serviceName.optional(),
    /** changes sides after the last share of that service; after all shares by default */
    with: serviceName.optional(),
    /** changes sides after the last share of that wave */
    wave: z.int().min(1).optional(),
  })
  .superRefine((it, context) => {
    const say = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const ways = WAYS.filter((way) => it[way] !== undefined);
    if (ways.length !== 1)
      say(
        [],
        ways.length === 0
          ? 'says not how it is stopped: `workload`, `suspend`, `field` or `run`'
          : `says ${ways.join(' and ')}: one of them`,
      );
    if ((it.run === undefined) !== (it.back === undefined)) say(['back'], 'and `run` need each other');
    if ((it.run === undefined) !== (it.name === undefined))
      say(['name'], 'is for entries with `run`, and they need it');
    if (it.keptBy !== undefined && it.workload === undefined) say(['keptBy'], 'is for entries with `workload`');
    if (it.with !== undefined && it.wave !== undefined) say(['wave'], 'and `with` are two times: one of them');
    if (it.suspend?.startsWith('job ') || it.suspend?.startsWith('job.'))
      say(['suspend'], 'names a Job: Jobs stay where they run, see `data.jobs`');
  });

/** The keys of `data` that are about this. */
export const sideKeys = {
  /** what is active on one side alone, each with its time to change sides: docs/one-side.md. CronJobs need no entry */
  oneSide: z.array(sideEntry).default([]),
  /** Jobs that run on the source when sides change: `wait` for their end, or `leave` them to it and go on */
  jobs: z.enum(['wait', 'leave']).default('wait'),
  /** the longest that Jobs are waited for */
  jobsWithin: duration.default(60 * 60_000),
};

export type SideEntry = z.output<typeof sideEntry>;

/** `deployment shop/web` → kind and where; the kind as it was written */
export function splitObject(text: string): { word: string; namespace?: string; name: string } {
  const [word = '', path = ''] = text.split(' ');
  return path.includes('/') ? { word, ...splitPath(path) } : { word, name: path };
}

/** What an entry says of workloads, as it was written. */
export const workloadsIn = ({ workload: named }: SideEntry): string[] => (named === undefined ? [] : [named].flat());

/** Each thing that an entry stops, as it was written; the first is what the entry is called by. */
const namesIn = (it: SideEntry): string[] => {
  const { suspend, field, name, keptBy = [] } = it;
  const own = suspend ?? (field ? `${field.object} ${field.path}` : name);
  return [...workloadsIn(it), ...(own === undefined ? [] : [own]), ...keptBy];
};

/** How an entry is called, in titles and in the id of its step. */
export const labelOf = (it: SideEntry): string =>
  workloadsIn(it).length > 1 ? workloadsIn(it).join(', ') : (namesIn(it)[0] ?? '');

export const idOf = (it: SideEntry): string => (namesIn(it)[0] ?? '').replaceAll(' ', '/');

/** What each key's type can't say of the entries: things that must agree with others. */
export function contradictionsOfSides({ data, traffic }: Playbook): { path: (string | number)[]; message: string }[] {
  const entries = data?.oneSide ?? [];
  const services = traffic?.services ?? [];
  return entries.flatMap((it, index) => {
    const say = (message: string, ...key: string[]) => [{ path: ['data', 'oneSide', index, ...key], message }];
    const names = namesIn(it);
    const before = entries.slice(0, index).flatMap(namesIn);
    const twice = names.find((one, at) => before.includes(one) || names.indexOf(one) < at);
    if (twice !== undefined) return say(`names ${twice} a second time: what is stopped together stands in one entry`);
    if (it.with !== undefined && !services.some((one) => one.service === it.with))
      return say(`${it.with} is not among \`traffic.services\``, 'with');
    if (it.wave !== undefined && !services.some((one) => 'wave' in one && one.wave === it.wave))
      return say(`no service of \`traffic.services\` is in wave ${it.wave}`, 'wave');
    return [];
  });
}
