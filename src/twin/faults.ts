import { seededRandom } from './random.js';
import type { Fault, Faults } from './types.js';

export type FaultKind = 'refuse' | 'cut' | 'lose' | 'slow';

export interface Outage {
  to: 'source' | 'target' | 'fleet' | 'cloud';
  /** after the first request that anybody sent */
  fromMs: number;
  forMs: number;
}

export interface FaultOptions {
  /** share of requests that meet a fault, 0 to 1; 0.05 when absent */
  rate?: number;
  /** how often each kind is drawn, relative to the others */
  kinds?: Partial<Record<FaultKind, number>>;
  slowMs?: { from: number; to: number };
  /** a server that does not answer for a while */
  outages?: Outage[];
  /** for outages; without it there are none */
  now?: () => number;
  /** faults in a row that one and the same request can meet: the next one passes */
  inARow?: number;
}

const KINDS: Record<FaultKind, number> = { refuse: 6, cut: 2, lose: 2, slow: 2 };
const SLOW_MS = { from: 200, to: 4_000 };
const IN_A_ROW = 3;

type Refusal = Omit<Extract<Fault, { kind: 'refuse' }>, 'kind'>;

const KUBE_READS: Refusal[] = [
  {
    status: 429,
    code: 'TooManyRequests',
    message: 'the server has received too many requests and has asked us to try again later',
    retryAfterMs: 1_000,
  },
  { status: 503, code: 'ServiceUnavailable', message: 'the server is currently unable to handle the request' },
  { status: 504, code: 'Timeout', message: 'the server was unable to return a response in the time allotted' },
  {
    status: 500,
    code: 'InternalError',
    message: 'an error on the server has prevented the request from succeeding: etcdserver: leader changed',
  },
];
const KUBE_CONFLICT: Refusal = {
  status: 409,
  code: 'Conflict',
  message:
    'Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again',
};

const THROTTLED: Refusal[] = [
  {
    status: 400,
    code: 'Throttling.User',
    message: 'Request was denied due to user flow control.',
    retryAfterMs: 1_000,
  },
  { status: 400, code: 'Throttling', message: 'Request was denied due to request throttling.' },
  { status: 500, code: 'InternalError', message: 'The request processing has failed due to some unknown error.' },
  {
    status: 503,
    code: 'ServiceUnavailable',
    message: 'The request has failed due to a temporary failure of the server.',
  },
];
const SLB_BUSY: Refusal[] = [
  { status: 400, code: 'ServiceIsConfiguring', message: 'The specified service is configuring.' },
  { status: 400, code: 'VServerGroupProcessing', message: 'The specified server group is processing.' },
  { status: 400, code: 'OperationBusy', message: 'Another operation is processing.' },
  { status: 409, code: 'BackendServer.configuring', message: 'The specified backend server is configuring.' },
  { status: 449, code: 'SystemBusy', message: 'The system is busy.' },
];
const ECS_BUSY: Refusal[] = [
  {
    status: 403,
    code: 'OperationConflict',
    message: 'The operation is not permitted due to conflict with another request.',
  },
  {
    status: 409,
    code: 'InvalidOperation.Conflict',
    message: 'The operation is not permitted due to conflict with another request.',
  },
];

/** Actions of the load balancer; the others are ECS's. */
const isSlb = (action: string): boolean =>
  /LoadBalancer|VServerGroup|Listener|TagResources|AddTags|RemoveTags/.test(action);

function refusalsFor({ to, verb, writes }: Parameters<Faults['decide']>[0]): Refusal[] {
  if (to === 'cloud') return writes ? [...THROTTLED, ...(isSlb(verb) ? SLB_BUSY : ECS_BUSY)] : THROTTLED;
  return writes && (verb === 'update' || verb === 'patch') ? [...KUBE_READS, KUBE_CONFLICT] : KUBE_READS;
}

/**
 * Faults that the seed alone decides. Progress is always possible: after `inARow` faults the same request passes, and outages end.
 * Only codes are used that the kind of server really gives: Kubernetes' reasons, and those of the OpenAPI that its clients are told
 * to repeat.
 *
 * @source aliyun/terraform-provider-alicloud:alicloud/errors.go; kubernetes/apimachinery:pkg/api/errors
 */
export function seededFaults(seed: number | string, options: FaultOptions = {}): Faults {
  const { rate = 0.05, slowMs = SLOW_MS, outages = [], now, inARow = IN_A_ROW } = options;
  const draw = seededRandom(seed);
  const kinds = Object.entries({ ...KINDS, ...options.kinds }).filter(([, often]) => often > 0) as [
    FaultKind,
    number,
  ][];
  const total = kinds.reduce((sum, [, often]) => sum + often, 0);
  const met = new Map<string, number>();
  let first: number | undefined;

  const drawKind = (): FaultKind => {
    let left = draw() * total;
    for (const [kind, often] of kinds) {
      left -= often;
      if (left < 0) return kind;
    }
    return kinds[0]![0];
  };

  const isOut = (to: Outage['to']): boolean => {
    if (!now) return false;
    first ??= now();
    const at = now() - first;
    return outages.some((it) => it.to === to && at >= it.fromMs && at < it.fromMs + it.forMs);
  };

  return {
    decide(request) {
      if (isOut(request.to)) return { kind: 'cut' };
      const key = `${request.to} ${request.verb} ${request.what}`;
      // Both numbers are drawn for every request, so that one fault more or less doesn't shift all that follow.
      const [chance, kind, detail] = [draw(), drawKind(), draw()];
      const row = met.get(key) ?? 0;
      if (kinds.length === 0 || chance >= rate || row >= inARow) {
        met.delete(key);
        return undefined;
      }
      met.set(key, row + 1);
      if (kind === 'slow') return { kind, ms: Math.round(slowMs.from + detail * (slowMs.to - slowMs.from)) };
      // A watch that is refused would tell the client no more than one that is cut; a lost answer to a read is a cut.
      if (request.verb === 'watch') return { kind: 'cut' };
      if (kind === 'cut' || kind === 'lose') return { kind: request.writes ? kind : 'cut' };
      const refusals = refusalsFor(request);
      return { kind: 'refuse', ...refusals[Math.floor(detail * refusals.length)]! };
    },
  };
}
