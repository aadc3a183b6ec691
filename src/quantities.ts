/** Amounts as Kubernetes writes them, and what a pod asks of its node. */

const UNITS: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** `250m` → 0.25, `1Gi` → 1073741824; 0 for what is no amount. @source kubernetes/apimachinery:pkg/api/resource/quantity.go */
export function amount(text: unknown): number {
  const [, digits, unit = ''] =
    /^([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+)([A-Za-z]*)$/.exec(String(text)) ?? [];
  const factor = UNITS[unit];
  return digits === undefined || factor === undefined ? 0 : Number(digits) * factor;
}

/** `cpu` in cores, the rest in bytes or pieces, for people. */
export function spelled(resource: string, value: number): string {
  if (resource === 'cpu') return `${round(value)} cores`;
  if (resource === 'memory' || resource === 'ephemeral-storage') return `${round(value / 2 ** 30)} GiB`;
  return String(round(value));
}

const round = (value: number) => Math.round(value * 100) / 100;

export type Amounts = Record<string, number>;

export function add(a: Amounts, b: Amounts, times = 1): Amounts {
  const sum = { ...a };
  for (const [key, value] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + value * times;
  return sum;
}

interface Asking {
  resources?: { requests?: Record<string, unknown>; limits?: Record<string, unknown> };
}

interface PodLike {
  containers?: Asking[];
  initContainers?: Asking[];
  overhead?: Record<string, unknown>;
}

/** Init containers run one after another, before the others: of them the largest counts. */
export function requestsOf(spec: PodLike): Amounts {
  const asked = (all: Asking) => {
    // A limit without a request is taken for one.
    const merged = { ...all.resources?.limits, ...all.resources?.requests };
    return Object.fromEntries(Object.entries(merged).map(([key, value]) => [key, amount(value)]));
  };
  const main = (spec.containers ?? []).map(asked).reduce((sum, it) => add(sum, it), {} as Amounts);
  const most = { ...main };
  for (const one of (spec.initContainers ?? []).map(asked))
    for (const [key, value] of Object.entries(one)) most[key] = Math.max(most[key] ?? 0, value);
  return add(most, Object.fromEntries(Object.entries(spec.overhead ?? {}).map(([key, value]) => [key, amount(value)])));
}
