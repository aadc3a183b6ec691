import { splitPath } from '../objects.js';
import type { KubeObject, World } from '../ports.js';
import { bridgeName } from './bridge.js';
import type { IngressRoute } from './ingress.js';
import {
  annotation,
  annotationsPatch,
  both,
  refOf,
  rulesOf,
  rulesPatch,
  swapped,
  type Style,
} from './ingress-paths.js';
import { edit, unfit, type Pair } from './weighted.js';

/**
 * EDAS' drainage: requests that carry a ticket in a header go to the edge, which is the target here; all others to the stable Service.
 * There are no weights: after the tickets' time everything goes at once, by making the target the Ingress' own backend. The annotation is
 * as its operators write it; there is no public reference.
 */
export const edasStyle: Style = {
  scales: [1],

  refuses: (_route, { asked }) =>
    asked <= 0 || asked >= 100
      ? undefined
      : {
          below: 0,
          above: 100,
          why: 'EDAS sends requests with the ticket header to the target and all others to the source: it knows no percentages',
          fix: 'Use `steps: [100]`: until then requests with the header already go to the target, and the rest follow at once. For shares, use the style `canary`.',
        },

  async check(route, main) {
    const config = configOf(main);
    if (config === undefined) {
      throw unfit(
        `Annotation service-config of Ingress ${route.ingress} is not JSON.`,
        'The drainage is written into it, and what it says else must stay.',
        'Mend the annotation, or remove it.',
      );
    }
    const { serviceMap } = config.drainage ?? {};
    if (!config.drainage || serviceMap?.[splitPath(route.service).name] === bridgeName(route)) return;
    throw unfit(
      `Ingress ${route.ingress} drains to an edge already.`,
      'An Ingress has one set of tickets.',
      'Finish that release first, and remove `drainage` from its service-config.',
    );
  },

  keep: (_route, main) => ({ config: annotation(main, 'service-config') ?? null }),
  joined: async (route, main) => isDrained(route, main),

  async see(route, main) {
    const pair = { source: 1, target: 0 };
    const joined = isDrained(route, main) || route.header?.value === undefined;
    return joined ? { pair } : { pair, news: `Ingress ${route.ingress} has lost its drainage` };
  },

  join: (route, world) => write(route, { source: 1, target: 0 }, world),
  put: (route, pair, world) => write(route, pair, world),

  undo: (route, was, { source }) =>
    edit(source, refOf(route), (main) => {
      const { config } = was as { config: string | null };
      return annotationsPatch(main, { 'service-config': config ?? undefined });
    }),

  keepLeaving: async () => null,

  leave: (route, { source }) =>
    edit(source, refOf(route), (main) => {
      const { drainage: _, ...rest } = configOf(main) ?? {};
      const text = Object.keys(rest).length === 0 ? undefined : JSON.stringify(rest);
      return annotationsPatch(main, { 'service-config': text });
    }),

  comeBack: (route, _was, world) => write(route, { source: 0, target: 1 }, world),
};

interface Config {
  drainage?: { tickets?: { header?: Record<string, string> }; serviceMap?: Record<string, string> };
}

/** undefined when it can't be read */
function configOf(main: KubeObject): Config | undefined {
  try {
    return JSON.parse(annotation(main, 'service-config') ?? '{}') as Config;
  } catch {
    return undefined;
  }
}

const isDrained = (route: IngressRoute, main: KubeObject): boolean =>
  configOf(main)?.drainage?.serviceMap?.[splitPath(route.service).name] === bridgeName(route);

/** The tickets stay while all goes to the target: they lead there too. */
const write = (route: IngressRoute, { target }: Pair, { source }: World): Promise<void> =>
  edit(source, refOf(route), (main) => {
    const { name } = splitPath(route.service);
    const edge = bridgeName(route);
    const { header = { name: '', value: '' } } = route;
    const drainage = { tickets: { header: { [header.name]: header.value ?? '' } }, serviceMap: { [name]: edge } };
    const text = JSON.stringify({ ...configOf(main), drainage });
    const rules = target > 0 ? swapped(rulesOf(main), name, edge) : swapped(rulesOf(main), edge, name);
    return both(
      isDrained(route, main) ? undefined : annotationsPatch(main, { 'service-config': text }),
      rulesPatch(main, rules),
    );
  });
