import { type Check, type Finding, type SideSight, type Sight, Skipped, Unknown } from '../../src/check.js';
import type { Kind, KubeObject } from '../../src/ports.js';
import { entriesOf, type EntryOf } from '../../src/routes.js';
import { splitPath } from '../../src/objects.js';

const INGRESS = 'Ingress.networking.k8s.io';
const CLASS = 'IngressClass.networking.k8s.io';
const HTTP_ROUTE = 'HTTPRoute.gateway.networking.k8s.io';
const VIRTUAL_SERVICE = 'VirtualService.networking.istio.io';
const DESTINATION_RULE = 'DestinationRule.networking.istio.io';
/** Nobody here asks them: a rehearsal on a captured world needs them. */
const REHEARSED = ['Gateway.gateway.networking.k8s.io', 'ServiceEntry.networking.istio.io'];
const NGINX = 'nginx.ingress.kubernetes.io/';
const CLUSTER = 'topology.istio.io/cluster';

/**
 * Where requests are split by rules in the source, those must send to the source alone until their turn comes. In one mesh over both
 * clusters a route without a subset sends to the target's pods from the moment at which they start.
 *
 * @source https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/
 * @source kubernetes/ingress-nginx:docs/user-guide/nginx-configuration/annotations.md (canary, session affinity)
 * @source https://istio.io/latest/docs/ops/configuration/traffic-management/multicluster/
 * @source kubernetes-sigs/gateway-api:apis/v1/shared_types.go (ResolvedRefs)
 */
export const requestRules: Check = {
  id: 'request-rules',
  group: 'load-balancing',
  asks: 'Can the rules that send requests to the source be split, and do they send to the source alone until then?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['traffic'],
  reads: {},
  also: { source: [INGRESS, CLASS, HTTP_ROUTE, VIRTUAL_SERVICE, DESTINATION_RULE, 'Deployment.apps', ...REHEARSED] },
  takes: { 'Deployment.apps': 'named', [INGRESS]: ['metadata.annotations', 'spec'] },
  hint: {
    why: 'A rule that is split already, binds its clients, or can not be resolved shows another share than the one asked for, or none; a mesh over both clusters sends to the target as soon as its pods start.',
    fix: 'Mend what each finding names before anything is moved.',
  },
  zh: {
    asks: '源侧转发请求的规则能否切分，且在切流之前只转发到源侧？',
    why: '规则已在切分、绑定了客户端或后端无法解析时，实际比例与要求不符；跨两个集群的服务网格会在目标侧 Pod 启动后立即向其转发。',
    fix: '在迁移任何内容之前，先处理每一条提示。',
  },
  sources: [
    'https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/',
    'kubernetes/ingress-nginx:docs/user-guide/nginx-configuration/annotations.md',
    'https://istio.io/latest/docs/ops/configuration/traffic-management/multicluster/',
    'kubernetes-sigs/gateway-api:apis/v1/shared_types.go',
    'https://help.aliyun.com/document_detail/200941.html',
    'https://help.aliyun.com/document_detail/475892.htm',
    'alibaba/higress:pkg/ingress/kube/annotations/canary.go',
  ],

  look(sight) {
    const { playbook } = sight;
    const [ingresses, gateways, meshes] = [
      entriesOf('ingress', playbook),
      entriesOf('gateway', playbook),
      entriesOf('istio', playbook),
    ];
    if (ingresses.length + gateways.length + meshes.length === 0)
      throw new Skipped('no service is moved by rules of its requests');
    return [
      ...ingresses.flatMap((it) => ofIngress(it, sight)),
      ...gateways.flatMap((it) => ofGateway(it, sight)),
      ...meshes.flatMap((it) => ofMesh(it, sight)),
    ];
  },
};

/** @throws Unknown  the kind could not be read */
function objects({ source }: Sight, kind: Kind, namespace: string): KubeObject[] {
  const found = source.seen(kind, [namespace]);
  if (found) return found;
  throw new Unknown(`source: ${kind} in ${namespace} could not be read`);
}

const annotation = (it: KubeObject, key: string): string | undefined => it.metadata.annotations?.[`${NGINX}${key}`];

function ofIngress(entry: EntryOf<'ingress'>, sight: Sight): Finding[] {
  const { namespace } = splitPath(entry.service);
  const all = objects(sight, INGRESS, namespace);
  const main = all.find((it) => it.metadata.name === entry.ingress);
  if (!main) return [];
  const about = `ingress ${namespace}/${entry.ingress}`;
  return [
    ...retired(main, about, sight),
    ...(entry.style === 'service-weight' ? tooNew(about, sight) : []),
    ...(entry.style === 'canary'
      ? [...bound(main, about), ...taken(main, all, about), ...mixed(entry, main, about, sight)]
      : []),
  ];
}

const classOf = (main: KubeObject): string =>
  String(main['spec']?.ingressClassName ?? main.metadata.annotations?.['kubernetes.io/ingress.class'] ?? '');

/** Empty where its class tells nothing. */
const controllerOf = (main: KubeObject, source: SideSight): string =>
  String(source.seen(CLASS)?.find((it) => it.metadata.name === classOf(main))?.['spec']?.controller ?? '');

function retired(main: KubeObject, about: string, { source }: Sight): Finding[] {
  return controllerOf(main, source) === 'k8s.io/ingress-nginx' || classOf(main) === 'nginx'
    ? [
        {
          about,
          severity: 'warn',
          saw: 'ingress-nginx, which is retired: its last release was in March 2026',
          want: 'the Gateway API, or another controller, at the target',
          breaks: 'nothing on the way; the next hole in it stays open',
          fix: 'Let the target’s own entrance be a gateway: an HTTPRoute splits by weight too, and says when it has taken one.',
        },
      ]
    : [];
}

/** `service-match` and `service-weight` are gone from 1.12. */
function tooNew(about: string, { source }: Sight): Finding[] {
  const images = (source.seen('Deployment.apps', ['kube-system']) ?? [])
    .filter((it) => it.metadata.name === 'nginx-ingress-controller')
    .flatMap((it) => (it['spec']?.template?.spec?.containers ?? []) as { image?: string }[])
    .flatMap((it) => /:v?(\d+)\.(\d+)/.exec(it.image ?? '') ?? []);
  const [tag, major, minor] = images;
  if (tag === undefined || Number(major) < 1 || (Number(major) === 1 && Number(minor) < 12)) return [];
  return [
    {
      about,
      saw: `the controller is ${tag.slice(1)}`,
      want: 'a version before 1.12, or `style: canary`',
      breaks: 'the annotations service-match and service-weight are not read, and no request is split',
    },
  ];
}

function bound(main: KubeObject, about: string): Finding[] {
  if (annotation(main, 'affinity') !== 'cookie' || annotation(main, 'affinity-canary-behavior') === 'legacy') return [];
  return [
    {
      about,
      saw: 'clients are bound by cookie',
      want: `${NGINX}affinity-canary-behavior: legacy for the length of the migration`,
      breaks: 'whoever is bound stays, whatever the weight says',
    },
  ];
}

/**
 * Others read the same annotations in their own way: ALB takes a header or a weight in one Ingress, Higress and MSE stop at a header's
 * value or a cookie.
 * @source alibaba/higress:pkg/ingress/kube/annotations/canary.go; https://help.aliyun.com/document_detail/475892.htm
 */
function mixed({ header, cookie }: EntryOf<'ingress'>, main: KubeObject, about: string, { source }: Sight): Finding[] {
  const controller = controllerOf(main, source);
  const isAlb = /(^|[./])alb$/.test(controller);
  const isHigress = /higress|mse/.test(controller);
  if (!(isAlb && (header || cookie)) && !(isHigress && (header?.value || cookie))) return [];
  return [
    {
      about,
      saw: `controller ${controller}, which heeds no weight beside ${isAlb ? 'a header or cookie' : 'a header’s value or a cookie'}`,
      want: 'an entry without `header` and `cookie`',
      breaks: 'every share stays at 0 % but for requests that are marked',
      fix: 'Leave `header` and `cookie` out of the playbook.',
    },
  ];
}

interface Path {
  path?: string;
  backend?: { service?: { name?: string }; serviceName?: string };
}

const pathsOf = (it: KubeObject): string[] =>
  ((it['spec']?.rules ?? []) as { host?: string; http?: { paths?: Path[] } }[]).flatMap((rule) =>
    (rule.http?.paths ?? []).map((path) => `${rule.host ?? ''}${path.path ?? '/'}`),
  );

function taken(main: KubeObject, all: readonly KubeObject[], about: string): Finding[] {
  const paths = pathsOf(main);
  return all
    .filter((it) => annotation(it, 'canary') === 'true' && it.metadata.name !== `${main.metadata.name}-migrate`)
    .filter((it) => pathsOf(it).some((path) => paths.includes(path)))
    .map((it) => ({
      about,
      saw: `Ingress ${it.metadata.name} is its canary already`,
      want: 'none: a rule takes one canary and ignores the rest',
      breaks: 'one of the two gets nothing',
    }));
}

function ofGateway(entry: EntryOf<'gateway'>, sight: Sight): Finding[] {
  const { namespace } = splitPath(entry.service);
  const route = objects(sight, HTTP_ROUTE, namespace).find((it) => it.metadata.name === entry.route);
  const parents = (route?.['status']?.parents ?? []) as {
    parentRef?: { name?: string };
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
  }[];
  return parents.flatMap(({ parentRef, conditions = [] }) =>
    conditions
      .filter((it) => ['Accepted', 'ResolvedRefs'].includes(it.type) && it.status === 'False')
      .map((it) => ({
        about: `httproute ${namespace}/${entry.route}`,
        saw: `gateway ${parentRef?.name ?? '?'}: ${it.type} is False, ${it.reason ?? ''} ${it.message ?? ''}`.trim(),
        want: 'True for all of its rules',
        breaks:
          'a backend that is not there answers with errors, and no change of the route can be seen to be in force',
      })),
  );
}

interface Destination {
  destination?: { host?: string; subset?: string };
}

function ofMesh({ service, virtualService, clusters }: EntryOf<'istio'>, sight: Sight): Finding[] {
  const { namespace, name } = splitPath(service);
  const found = objects(sight, VIRTUAL_SERVICE, namespace).find((it) => it.metadata.name === virtualService);
  if (!found || !clusters) return [];
  const hosts = [name, `${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
  const pinned = new Set(
    objects(sight, DESTINATION_RULE, namespace)
      .filter((it) => hosts.includes(String(it['spec']?.host)))
      .flatMap((it) => (it['spec']?.subsets ?? []) as { name: string; labels?: Record<string, string> }[])
      .filter((it) => it.labels?.[CLUSTER] === clusters.source)
      .map((it) => it.name),
  );
  const routes = ((found['spec']?.http ?? []) as { route?: Destination[] }[]).flatMap((it) => it.route ?? []);
  const loose = routes.filter(
    ({ destination }) => hosts.includes(destination?.host ?? '') && !pinned.has(destination?.subset ?? ''),
  );
  return loose.slice(0, 1).map(({ destination }) => ({
    about: `virtualservice ${namespace}/${virtualService}`,
    saw: destination?.subset === undefined ? `host ${name} without a subset` : `subset ${destination.subset}`,
    want: `a subset of label ${CLUSTER}: ${clusters.source}`,
    breaks: 'the target’s pods get requests from the moment at which they start, before any step moves a share',
  }));
}
