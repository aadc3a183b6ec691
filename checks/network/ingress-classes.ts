import { type Check, type Finding, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * An Ingress is served by the controller of its class. Without one on the target it is stored, and nothing more; one that
 * names no class is taken by whoever is the default there.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
 * @source https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/
 */
export const ingressClasses: Check = {
  id: 'ingress-classes',
  group: 'network',
  asks: 'Does a controller of the target serve each Ingress as the source’s does?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['Ingress.networking.k8s.io', 'Ingress.extensions', CLASS()], target: [CLASS()] },
  takes: {
    'Ingress.networking.k8s.io': ['spec.ingressClassName', 'metadata.annotations'],
    'Ingress.extensions': ['spec.ingressClassName', 'metadata.annotations'],
  },
  hint: {
    why: 'An Ingress of a class that the target does not have is served by nobody; under another controller its annotations mean something else, or nothing.',
    fix: 'Install the controller with its IngressClass on the target, or move the Ingress to a class that it has.',
  },
  zh: {
    asks: '目标集群是否有控制器像源集群那样处理每个 Ingress？',
    why: '目标集群没有对应的 IngressClass 时，Ingress 没有人处理；换了控制器，原有注解的含义会改变或失效。',
    fix: '在目标集群安装该控制器及其 IngressClass，或把 Ingress 改到已有的类。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/services-networking/ingress/',
    'https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/',
    'kubernetes/ingress-nginx:docs/user-guide/nginx-configuration/annotations-risk.md',
  ],

  look(sight) {
    return ingresses(sight).flatMap((it) => {
      const name = classOf(it);
      return [...(name === undefined ? adopted(it, sight) : served(it, name, sight)), ...snippets(it)];
    });
  },
};

function CLASS() {
  return 'IngressClass.networking.k8s.io';
}

/** Servers up to 1.21 show the same objects under two groups. */
function ingresses({ source, namespaces }: Sight): KubeObject[] {
  const newer = source.list('Ingress.networking.k8s.io', namespaces);
  const names = new Set(newer.map((it) => `${it.metadata.namespace}/${it.metadata.name}`));
  return [
    ...newer,
    ...source
      .list('Ingress.extensions', namespaces)
      .filter((it) => !names.has(`${it.metadata.namespace}/${it.metadata.name}`)),
  ];
}

const classOf = (it: KubeObject): string | undefined =>
  it['spec']?.ingressClassName ?? it.metadata.annotations?.['kubernetes.io/ingress.class'];

const isDefault = (it: KubeObject) =>
  it.metadata.annotations?.['ingressclass.kubernetes.io/is-default-class'] === 'true';

const controllerOf = (it: KubeObject | undefined): string | undefined => it?.['spec']?.controller;

function served(it: KubeObject, name: string, { source, target }: Sight): Finding[] {
  const [here, there] = [source.get(CLASS(), undefined, name), target.get(CLASS(), undefined, name)];
  if (!there)
    return [
      {
        about: about(it),
        severity: 'refuse',
        saw: `class ${name}; the target has ${some(target.list(CLASS()).map((one) => one.metadata.name)) || 'no classes'}`,
        want: name,
        breaks: 'nobody serves it there',
      },
    ];
  const [from, to] = [controllerOf(here), controllerOf(there)];
  if (from !== undefined && from !== to)
    return [
      {
        about: about(it),
        severity: 'warn',
        saw: `class ${name} is ${to} on the target`,
        want: from,
        breaks: 'its annotations mean something else there, or nothing',
      },
    ];
  // Its last release was in March 2026; nothing is mended in it any more.
  if (to === 'k8s.io/ingress-nginx')
    return [
      {
        about: about(it),
        severity: 'warn',
        saw: `class ${name} is ingress-nginx, which is retired`,
        want: 'another controller, or the Gateway API',
        breaks: 'nothing yet; the next hole in it stays open',
      },
    ];
  return [];
}

function adopted(it: KubeObject, { source, target }: Sight): Finding[] {
  const [here, there] = [source.list(CLASS()).find(isDefault), target.list(CLASS()).find(isDefault)];
  if (controllerOf(here) === controllerOf(there)) return [];
  return [
    {
      about: about(it),
      severity: 'warn',
      saw: there
        ? `it names no class; the target’s default is ${there.metadata.name}`
        : 'it names no class, and the target has no default',
      want: here ? `the source’s default, ${here.metadata.name}` : 'a class',
      breaks: there
        ? 'it may be served twice, or by another controller'
        : 'whoever served it without a class must be there too',
    },
  ];
}

/** @source kubernetes/ingress-nginx:docs/user-guide/nginx-configuration/configmap.md (allow-snippet-annotations: false from 1.9) */
function snippets(it: KubeObject): Finding[] {
  const found = Object.keys(it.metadata.annotations ?? {}).filter((key) =>
    /^nginx\.ingress\.kubernetes\.io\/.*-snippet$/.test(key),
  );
  return found.length === 0
    ? []
    : [
        {
          about: about(it),
          severity: 'warn',
          saw: some(found.map((key) => key.replace('nginx.ingress.kubernetes.io/', ''))),
          want: 'allow-snippet-annotations: "true" on the target, or the same without a snippet',
          breaks: 'from 1.9 on the controller refuses the whole Ingress',
        },
      ];
}
