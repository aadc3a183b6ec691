import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { z } from 'zod';
import { databaseEntry, twiceNamed } from './databases.js';
import { disksEntry } from './disk-entry.js';
import { MigrateError } from './errors.js';
import { duration, name } from './formats.js';
import { drainEntry, gateEntry, gateKindOf, leastHold } from './gates.js';
import { hostOf } from './dns.js';
import { isGroupEntry, routeEntry } from './routes.js';
import { contradictionsOfSides, sideKeys } from './side-entry.js';
import { nearest, spell } from './words.js';

/**
 * YAML → Playbook. Every complaint carries line:column and, where a word was mistyped, the word that was probably meant.
 * The schema is strict: an unknown key is an error, for a misspelt `hold` that is silently ignored would be a step without a hold.
 */

const waiver = z.strictObject({
  check: z.string().min(1),
  about: z.string().min(1),
  because: z.string().min(1),
  owner: z.string().min(1),
  until: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'is not a date: write YYYY-MM-DD'),
});

const steps = z
  .array(z.number().gt(0, 'is not above 0').max(100, 'is above 100'))
  .min(1, 'needs at least one step')
  .superRefine((list, context) => {
    list.forEach((step, index) => {
      const before = list[index - 1];
      if (before !== undefined && step <= before) {
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `${step} does not come after ${before}: steps go up`,
        });
      }
    });
  });

const rule = z
  .strictObject({
    conditions: z.strictObject({
      groupResource: z.string().min(1),
      resourceNameRegex: z.string().optional(),
      namespaces: z.array(z.string()).optional(),
      labelSelector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }).optional(),
      matches: z.array(z.strictObject({ path: z.string(), value: z.string().optional() })).optional(),
    }),
    mergePatches: z.array(z.strictObject({ patchData: z.string() })).optional(),
    patches: z
      .array(
        z.strictObject({
          operation: z.enum(['add', 'remove', 'replace', 'test', 'move', 'copy']),
          path: z.string().min(1),
          from: z.string().optional(),
          value: z.string().optional(),
        }),
      )
      .optional(),
  })
  .refine(
    (it) => (it.mergePatches === undefined) !== (it.patches === undefined),
    'needs `mergePatches` or `patches`, one of them',
  );

const wave = z.strictObject({
  namespaces: z.array(name).min(1, 'needs at least one namespace'),
  labels: z.record(z.string(), z.string()).optional(),
});

const cluster = z.strictObject({
  context: z.string().min(1),
  /** the id with which the cloud controller manager signs its members; for clusters that don't let it be read */
  clusterId: z.string().min(1).optional(),
  /** version of the cloud controller manager, for clusters where the provider runs it out of sight */
  ccm: z
    .string()
    .regex(/^v?\d+\.\d+\.\d+/, 'is not a version, e.g. v2.11.1')
    .optional(),
});

/** A cluster, servers outside any cluster, or both. */
const origin = z.strictObject({
  ...cluster.shape,
  /** empty where the source is servers alone */
  context: z.string().min(1).default(''),
  /** ECS instances outside any cluster that are members of the group: the source's, like its pods */
  servers: z
    .array(z.string().regex(/^i-[a-z0-9]+$/i, 'is not the id of an ECS instance, e.g. i-bp1abc'))
    .min(1, 'needs at least one server')
    .optional(),
});

export const playbookSchema = z.strictObject({
  apiVersion: z.literal('migrate/v1alpha1'),
  kind: z.literal('Playbook'),
  name,
  source: origin,
  target: cluster,
  /** ACK One's control plane over both, for the router `mcs` */
  fleet: z.strictObject({ context: z.string().min(1) }).optional(),
  cloud: z
    .strictObject({
      provider: z.literal('alibaba'),
      region: z.string().min(1),
      /** when the target is elsewhere */
      targetRegion: z.string().min(1).optional(),
    })
    .optional(),
  preflight: z.strictObject({ waive: z.array(waiver).default([]) }).prefault({}),
  data: z
    .strictObject({
      namespaces: z.array(name).min(1, 'needs at least one namespace'),
      storageClasses: z.record(z.string(), z.string()).default({}),
      velero: z
        .strictObject({
          namespace: name.default('velero'),
          storageLocation: name.default('default'),
          /** for each phase of a backup or restore, however long Velero itself would wait */
          deadline: duration.default(30 * 60_000),
        })
        .prefault({}),
      /** docs/disks.md */
      disks: disksEntry.prefault('copy'),
      /** where new disks go; the zone of the target's nodes when there is only one */
      zone: z.string().min(1).optional(),
      /** id of the target region's KMS key, for encrypted disks that cross regions */
      kmsKey: z.string().min(1).optional(),
      /**
       * `velero`: its backup and its restore; `converted`: the backup is written by us, every object in a version that the target serves, and
       * the source needs no Velero; `manifests`: files are applied, for what has its source in Git
       */
      apps: z.enum(['velero', 'converted', 'manifests']).default('velero'),
      /** for `apps: manifests`: a folder or file of rendered manifests, as Kustomize or `helm template` write them */
      manifests: z.string().min(1).optional(),
      /** beginnings of image names: `registry-a.example.com/shop: registry-b.example.com/shop` */
      images: z.record(z.string(), z.string()).default({}),
      /** where the target can pull from; any other image is refused in the preview */
      registries: z.array(z.string().min(1)).optional(),
      /** `new`: the target draws node ports; `keep`: those of the source, refused where one is taken */
      nodePorts: z.enum(['new', 'keep']).default('new'),
      /** more changes on the way: rules of Velero's resource modifiers, with `mergePatches` or `patches` */
      rules: z.array(rule).default([]),
      /** one restore after the other; what no wave takes comes last */
      waves: z.array(wave).default([]),
      /** objects that stay behind, as `kind namespace/name`: `ingress shop/legacy`; only where we write the backup, or apply files */
      leaveOut: z.array(z.string().regex(/^\S+ \S+$/, 'is not `kind namespace/name`')).default([]),
      /** definitions of custom resources, priority classes, cluster roles and webhooks that the namespaces need and the target lacks */
      cluster: z.enum(['needed', 'none']).default('needed'),
      /** `stopped`: workloads arrive at 0 and are started in a step of their own; `running`: as they are in the source */
      arrive: z.enum(['stopped', 'running']).default('stopped'),
      /** each with its replica, switch-over and way back: docs/databases.md */
      databases: z.array(databaseEntry).default([]),
      ...sideKeys,
    })
    .optional(),
  traffic: z
    .strictObject({
      services: z.array(routeEntry).min(1, 'needs at least one service'),
      steps: steps.default([1, 5, 20, 50, 100]),
      /** how long each step is watched before the next */
      hold: duration.default(10 * 60_000),
      /** points by which the reachable share may differ from the asked one */
      tolerance: z.number().min(0).max(50).default(1),
      /** with gates: a step may end so early once every one of them has passed; `hold` by default */
      holdLeast: duration.optional(),
      gates: z.array(gateEntry).default([]),
      drain: drainEntry.prefault({}),
    })
    .optional(),
});

export type Playbook = z.output<typeof playbookSchema>;
export type PlaybookData = NonNullable<Playbook['data']>;
export type PlaybookTraffic = NonNullable<Playbook['traffic']>;
export type TrafficService = PlaybookTraffic['services'][number];
export type Waiver = Playbook['preflight']['waive'][number];

export interface Complaint {
  line: number;
  column: number;
  /** `traffic.steps[2]` */
  path: string;
  message: string;
}

/**
 * @param text   the YAML
 * @param file   as the operator named it, for the messages
 * @throws MigrateError PLAYBOOK_INVALID  with every complaint in `what`, one a line: `file:line:column path: message`
 */
export function parsePlaybook(text: string, file: string): Playbook {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };

  if (document.errors.length > 0) {
    const first = document.errors.map((it) => ({
      ...at(it.pos[0]),
      path: '',
      message: it.message.replace(/\s+/g, ' '),
    }));
    throw invalid(file, first, 'It is not valid YAML.');
  }
  const parsed = playbookSchema.safeParse(document.toJS() ?? {});
  const complaints = parsed.success
    ? contradictions(parsed.data).map((it) => ({
        ...position(document, it.path, at),
        path: dotted(it.path),
        message: it.message,
      }))
    : parsed.error.issues.flatMap((issue) => complaintsOf(issue, document, at));
  if (parsed.success && complaints.length === 0) return parsed.data;
  complaints.sort((a, b) => a.line - b.line || a.column - b.column);
  throw invalid(file, complaints, 'It says something that the playbook format does not have.');
}

function invalid(file: string, complaints: Complaint[], why: string): MigrateError {
  const told = complaints.map((it) => `${file}:${it.line}:${it.column} ${it.path ? `${it.path}: ` : ''}${it.message}`);
  return new MigrateError('PLAYBOOK_INVALID', {
    what: told.join('\n'),
    why,
    fix: 'Mend the playbook; `migrate validate` shows all complaints at once, playbooks/shop.yaml is a complete example.',
  });
}

type Path = (string | number)[];
type At = (offset: number) => { line: number; column: number };

function contradictionsOfData(data: PlaybookData | undefined): { path: Path; message: string }[] {
  if (!data) return [];
  const found: { path: Path; message: string }[] = [];
  const say = (key: string, message: string) => found.push({ path: ['data', key], message });
  if ((data.apps === 'manifests') !== (data.manifests !== undefined))
    say('manifests', 'and `apps: manifests` need each other');
  if (data.leaveOut.length > 0 && data.apps === 'velero')
    say('leaveOut', 'needs `apps: converted` or `manifests`: Velero leaves out kinds, not single objects');
  if (data.waves.length > 0 && data.apps === 'manifests')
    say('waves', 'is for restores; manifests are applied in one go');
  data.waves.forEach((it, index) => {
    const unknown = it.namespaces.filter((one) => !data.namespaces.includes(one));
    if (unknown.length > 0)
      found.push({
        path: ['data', 'waves', index],
        message: `names ${unknown.join(', ')}, not among \`data.namespaces\``,
      });
  });
  return found;
}

function contradictionsOfGates(traffic: PlaybookTraffic | undefined): { path: Path; message: string }[] {
  if (!traffic) return [];
  const found: { path: Path; message: string }[] = [];
  const { hold, holdLeast = hold, gates, steps: shares } = traffic;
  if (holdLeast > hold) found.push({ path: ['traffic', 'holdLeast'], message: 'is longer than `hold`' });
  gates.forEach((gate, index) => {
    const least = leastHold(gate);
    if (least !== undefined && least > hold)
      found.push({
        path: ['traffic', 'gates', index],
        message: `can't pass: without a single error it takes ${spell(least)}, and \`hold\` is ${spell(hold)}; hold longer, ask more often (\`every\`) or allow more (\`bad\`)`,
      });
    const asked = 'approve' in gate && gate.approve !== 'all' ? [gate.approve].flat() : [];
    const unknown = asked.find((it) => !shares.includes(it));
    if (unknown !== undefined)
      found.push({
        path: ['traffic', 'gates', index, 'approve'],
        message: `${unknown} is no step: ${shares.join(', ')}`,
      });
  });
  return found;
}

/** What each key's type can't say: things that must agree with each other. */
function contradictions(playbook: Playbook): { path: Path; message: string }[] {
  const found: { path: Path; message: string }[] = [];
  if (playbook.source.context === playbook.target.context) {
    found.push({
      path: ['target', 'context'],
      message: `is "${playbook.target.context}", the source's context too: a cluster can't move onto itself`,
    });
  }
  const { context, servers } = playbook.source;
  if (context === '' && servers === undefined)
    found.push({
      path: ['source', 'context'],
      message: 'is missing (string), and `servers` too: one of them, or both',
    });
  if (context === '' && playbook.data)
    found.push({ path: ['data'], message: 'needs a cluster as source: only traffic moves away from servers' });
  const other = servers && playbook.traffic?.services.find((it) => it.router !== 'clb' && it.router !== 'nlb');
  if (other)
    found.push({
      path: ['source', 'servers'],
      message: `have weights behind clb and nlb alone, not behind ${other.router}`,
    });
  if (!playbook.data && !playbook.traffic)
    found.push({ path: [], message: 'has neither `data` nor `traffic`: there is nothing to do' });
  const ofCloud = playbook.traffic?.services.find((it) => it.router in AT_THE_CLOUD);
  if (ofCloud && !playbook.cloud)
    found.push({ path: ['traffic'], message: `needs \`cloud\`: ${AT_THE_CLOUD[ofCloud.router]}` });
  found.push(...contradictionsOfData(playbook.data));
  for (const index of twiceNamed(playbook.data?.databases ?? [])) {
    found.push({
      path: ['data', 'databases', index, 'name'],
      message: 'names a database twice: each has one entry',
    });
  }
  found.push(...contradictionsOfGates(playbook.traffic));
  found.push(...contradictionsOfSides(playbook));
  if (playbook.traffic?.services.some((it) => it.router === 'mcs') && !playbook.fleet)
    found.push({ path: ['traffic'], message: 'needs `fleet: { context: … }`: MultiClusterServices live in the Fleet' });
  const seen = new Map<string, number>();
  playbook.traffic?.services.forEach((it, index) => {
    for (const [key, why] of onceOnly(it)) {
      if (seen.has(key))
        found.push({
          path: ['traffic', 'services', index],
          message: `names ${key} twice: ${why}`,
        });
      seen.set(key, index);
    }
  });
  return found;
}

/** Routers that write, or read back, at the cloud's API, and what for. */
const AT_THE_CLOUD: Readonly<Record<string, string>> = {
  clb: 'the weights are read back at the load balancer',
  nlb: 'the weights are read back at the load balancer',
  dns: 'the records are written at its DNS authority',
};

/** What no other entry may name, and why. */
function onceOnly(it: TrafficService): [key: string, why: string][] {
  if (isGroupEntry(it) && it.handOver !== undefined)
    return [[`port ${it.port} of ${it.service}`, 'one entry is enough']];
  if (isGroupEntry(it)) {
    const why = 'one group carries one port of one service';
    return [
      [`service ${it.service}:${it.port}`, why],
      [`group ${it.group}`, why],
    ];
  }
  if (it.router === 'dns') return [[`${it.type} records of ${hostOf(it)} (${it.line})`, 'they have one share']];
  return [];
}

function complaintsOf(issue: z.core.$ZodIssue, document: Document, at: At): Complaint[] {
  const path = issue.path as Path;
  if (issue.code === 'invalid_union') {
    // Of the several shapes the one that was meant is complained about.
    const meant = meantOf(issue.errors, document, path);
    if (meant) return meant.flatMap((it) => complaintsOf({ ...it, path: [...path, ...it.path] }, document, at));
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const meant = nearest(key, keysAt(path, document));
      return {
        ...position(document, [...path, key], at),
        path: dotted([...path, key]),
        message: meant
          ? `unknown key; did you mean \`${meant}\`?`
          : `unknown key; known here: ${keysAt(path, document).join(', ')}`,
      };
    });
  }
  return [{ ...position(document, path, at), path: dotted(path), message: words(issue, valueAt(document, path)) }];
}

/** The complaints of the shape whose naming key the entry has; undefined where it has none. */
function meantOf(
  shapes: readonly (readonly z.core.$ZodIssue[])[],
  document: Document,
  path: Path,
): readonly z.core.$ZodIssue[] | undefined {
  const value = valueAt(document, path);
  const kind = gateKindOf(value);
  if (kind === undefined) return wordOrMap(shapes, value);
  return shapes.find(
    (issues) => !issues.some((it) => it.code === 'unrecognized_keys' && it.path.length === 0 && it.keys.includes(kind)),
  );
}

/** Where a word may stand for a map, what stands there tells which of the two was meant. */
function wordOrMap(shapes: readonly (readonly z.core.$ZodIssue[])[], value: unknown) {
  const wantsWord = (issues: readonly z.core.$ZodIssue[]) =>
    issues.some((it) => it.path.length === 0 && it.code === 'invalid_value');
  if (!shapes.some(wantsWord)) return undefined;
  return shapes.find((it) => wantsWord(it) === (typeof value !== 'object' || value === null));
}

function words(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return `is missing (${issue.expected})`;
      return issue.message.startsWith('Invalid')
        ? `is ${kindOf(value)}, not ${article(issue.expected)}`
        : `is ${kindOf(value)}: ${issue.message}`;
    case 'invalid_value': {
      const choices = issue.values.map(String);
      const meant = typeof value === 'string' ? nearest(value, choices) : undefined;
      if (value === undefined) return `is missing; it is ${choices.map((it) => `\`${it}\``).join(' or ')}`;
      return `is "${String(value)}"; ${meant ? `did you mean \`${meant}\`?` : `it can be ${choices.map((it) => `\`${it}\``).join(', ')}`}`;
    }
    // The key that says which shape an entry has.
    case 'invalid_union': {
      const choices = [...issue.message.matchAll(/'([^']+)'/g)].map((it) => it[1] ?? '');
      // A union of other shapes says for itself what it wants; what stands there may be a password and is not repeated.
      if (choices.length === 0) return issue.message;
      const meant = typeof value === 'string' ? nearest(value, choices) : undefined;
      const all = choices.map((it) => `\`${it}\``).join(', ');
      if (value === undefined) return `is missing; it can be ${all}`;
      return `is "${String(value)}"; ${meant ? `did you mean \`${meant}\`?` : `it can be ${all}`}`;
    }
    case 'invalid_format':
      return `"${String(value)}" ${issue.message}`;
    case 'too_small':
    case 'too_big':
      return issue.message.startsWith('Too') ? `is ${String(value)}: ${issue.message.toLowerCase()}` : issue.message;
    default:
      return issue.message;
  }
}

const kindOf = (value: unknown) => {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object'
    ? 'a map'
    : `${typeof value === 'number' ? 'the number' : typeof value === 'boolean' ? 'the boolean' : 'the text'} ${JSON.stringify(value)}`;
};

const article = (type: string) => {
  const plain: Record<string, string> = {
    object: 'a map',
    array: 'a list',
    record: 'a map',
    string: 'a text',
    int: 'a whole number',
  };
  return plain[type] ?? `a ${type}`;
};

/** The keys that the schema has at a path; lists count as their items, and of several shapes the one that is meant there. */
function keysAt(path: Path, document: Document): string[] {
  let schema: unknown = playbookSchema;
  for (const [index, part] of path.entries()) {
    const inner = shapeAt(schema, path.slice(0, index), document);
    if (inner instanceof z.ZodObject) schema = inner.shape[String(part)];
    else if (inner instanceof z.ZodArray) schema = inner.element;
  }
  const last = shapeAt(schema, path, document);
  return last instanceof z.ZodObject ? Object.keys(last.shape) : [];
}

function shapeAt(schema: unknown, path: Path, document: Document): unknown {
  const inner = unwrapped(schema);
  if (!(inner instanceof z.ZodUnion)) return inner;
  const value = valueAt(document, path);
  const tag: unknown = inner instanceof z.ZodDiscriminatedUnion ? inner.def.discriminator : undefined;
  const key = typeof tag === 'string' ? tag : gateKindOf(value);
  if (key === undefined) return inner.options.find((it: unknown) => it instanceof z.ZodObject);
  return inner.options.find((option: unknown) => {
    const field: unknown = option instanceof z.ZodObject ? option.shape[key] : undefined;
    if (typeof tag !== 'string') return field !== undefined;
    return field instanceof z.ZodType && field.safeParse((value as Record<string, unknown>)[key]).success;
  });
}

function unwrapped(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner.unwrap();
  return inner;
}

/** The key's position when the path ends in a key that is there, else that of the nearest node around it. */
function position(document: Document, path: Path, at: At): { line: number; column: number } {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((it) => isScalar(it.key) && it.key.value === part);
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return at(offset);
}

const valueAt = (document: Document, path: Path): unknown => {
  const value: unknown = path.length === 0 ? document.toJS() : document.getIn(path);
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value;
};

const dotted = (path: Path) =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  );
