import { splitPath } from '../objects.js';
import type { KubeObject, World } from '../ports.js';
import { bridgeName } from './bridge.js';
import type { IngressRoute } from './ingress.js';
import {
  annotation,
  annotationsPatch,
  both,
  pathsTo,
  refOf,
  rulesOf,
  rulesPatch,
  serviceOf,
  to,
  withPaths,
  type IngressRule,
  type Style,
} from './ingress-paths.js';
import { edit, unfit, type Pair } from './weighted.js';

/**
 * Alibaba's older annotations, on the Ingress itself: a second backend for the same path, and weights or matches by Service. With both
 * set, weights hold for what matches alone: so a header comes first, without weights, and goes when the first weight comes. Controllers
 * from 1.12 on no longer know them.
 *
 * @source help.aliyun.com/document_detail/200941.html (service-match, service-weight)
 */
export const serviceWeightStyle: Style = {
  scales: [100, 1000, 10_000],

  async check(route, main) {
    const taken = ['service-weight', 'service-match'].find((key) => annotation(main, key));
    if (taken === undefined || pathsTo(main, bridgeName(route)).length > 0) return;
    throw unfit(
      `Ingress ${route.ingress} has ${taken} already.`,
      'Its weights would be those of three Services.',
      'Finish that release first, and remove the annotation.',
    );
  },

  keep: (_route, main) => ({
    weight: annotation(main, 'service-weight') ?? null,
    match: annotation(main, 'service-match') ?? null,
  }),

  joined: async (route, main) => pathsTo(main, bridgeName(route)).length > 0,

  async see(route, main) {
    const { name } = splitPath(route.service);
    if (pathsTo(main, bridgeName(route)).length === 0) return { pair: { source: 100, target: 0 } };
    const text = annotation(main, 'service-weight');
    if (!text && annotation(main, 'service-match')) return { pair: { source: 100, target: 0 } };
    const weights = new Map(
      (text ?? '').split(',').map((it) => it.split(':').map((one) => one.trim())) as [string, string][],
    );
    const of = (service: string) => Number(weights.get(service) ?? 100);
    // Without either annotation the first backend has all.
    return { pair: text ? { source: of(name), target: of(bridgeName(route)) } : { source: 100, target: 0 } };
  },

  join: (route, world) => write(route, { source: 100, target: 0 }, world),
  put: (route, pair, world) => write(route, pair, world),

  undo: (route, was, { source }) =>
    edit(source, refOf(route), (main) => {
      const { weight, match } = was as { weight: string | null; match: string | null };
      const rules = withPaths(rulesOf(main), (paths) => paths.filter((it) => serviceOf(it) !== bridgeName(route)));
      return both(
        annotationsPatch(main, { 'service-weight': weight ?? undefined, 'service-match': match ?? undefined }),
        rulesPatch(main, rules),
      );
    }),

  keepLeaving: async () => null,

  leave: (route, { source }) =>
    edit(source, refOf(route), (main) => {
      const { name } = splitPath(route.service);
      const rules = withPaths(rulesOf(main), (paths) => paths.filter((it) => serviceOf(it) !== name));
      return both(
        annotationsPatch(main, { 'service-weight': undefined, 'service-match': undefined }),
        rulesPatch(main, rules),
      );
    }),

  comeBack: (route, _was, { source }) =>
    edit(source, refOf(route), (main) => {
      const { name } = splitPath(route.service);
      const rules = pathsTo(main, name).length > 0 ? rulesOf(main) : doubled(main, bridgeName(route), name, true);
      return both(annotationsPatch(main, annotationsFor(route, { source: 0, target: 100 })), rulesPatch(main, rules));
    }),
};

/** Every path to one Service twice, the second time to the other, or the other first. */
const doubled = (main: KubeObject, service: string, other: string, otherFirst: boolean): IngressRule[] =>
  withPaths(rulesOf(main), (paths) =>
    paths.flatMap((it) => {
      if (serviceOf(it) !== service) return [it];
      return otherFirst ? [to(it, other), it] : [it, to(it, other)];
    }),
  );

const annotationsFor = (route: IngressRoute, { source, target }: Pair): Record<string, string | undefined> => {
  const { header } = route;
  const { name } = splitPath(route.service);
  const byHeader = header?.value !== undefined && target === 0;
  return {
    'service-match': byHeader ? `${bridgeName(route)}: header("${header.name}", "${header.value}")` : undefined,
    'service-weight': byHeader ? undefined : `${bridgeName(route)}: ${target}, ${name}: ${source}`,
  };
};

const write = (route: IngressRoute, pair: Pair, { source }: World): Promise<void> =>
  edit(source, refOf(route), (main) => {
    const { name } = splitPath(route.service);
    const isIn = pathsTo(main, bridgeName(route)).length > 0;
    const rules = isIn ? rulesOf(main) : doubled(main, name, bridgeName(route), false);
    return both(annotationsPatch(main, annotationsFor(route, pair)), rulesPatch(main, rules));
  });
