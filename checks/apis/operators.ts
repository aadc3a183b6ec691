import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { compareVersions, imageOf, versionOf, type Image } from '../images.js';

/**
 * An older release of an operator does not know the fields that a newer one has written, and takes objects apart that it
 * finds in a state that it cannot read.
 *
 * @source https://kubernetes.io/docs/concepts/extend-kubernetes/operator/
 */
export const operators: Check = {
  id: 'operators',
  group: 'apis',
  asks: 'Is no operator of the target older than the same one of the source?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: ['Deployment.apps', 'CustomResourceDefinition.apiextensions.k8s.io'], target: ['Deployment.apps'] },
  takes: { 'Deployment.apps': 'each', 'target Deployment.apps': ['spec.template.spec.containers.image'] },
  everywhere: { source: ['Deployment.apps'], target: ['Deployment.apps'] },
  hint: {
    why: 'An older operator misreads what a newer one has written, and may undo it.',
    fix: 'Install the source’s release, or a newer one, on the target.',
  },
  zh: {
    asks: '目标集群上的 operator 是否都不比源集群的旧？',
    why: '旧版 operator 读不懂新版写入的对象，可能把它改坏。',
    fix: '在目标集群安装与源集群相同或更新的版本。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/extend-kubernetes/operator/',
    'https://github.com/vmware-tanzu/velero/issues/9433',
  ],

  look(sight) {
    if (sight.source.list('CustomResourceDefinition.apiextensions.k8s.io').length === 0) return [];
    const blind = [sight.source, sight.target]
      .filter((it) => !it.whole('Deployment.apps'))
      .map((it): Finding => ({
        about: `${it.side} deployments`,
        saw: 'only those of the move and of the cluster’s own parts may be listed',
        want: 'the right to list deployments everywhere',
      }));
    return [...blind, ...older(sight)];
  },
};

const CONTROLS = /operator|controller|manager|webhook/;

const imagesOf = (it: KubeObject): Image[] =>
  ((it['spec']?.template?.spec?.containers ?? []) as { image?: string }[]).flatMap((one) =>
    one.image ? imageOf(one.image) : [],
  );

function older({ source, target, namespaces }: Sight): Finding[] {
  const there = target.list('Deployment.apps').flatMap((it) => imagesOf(it).map((image) => ({ it, image })));
  return source
    .list('Deployment.apps')
    .filter((it) => !namespaces.includes(it.metadata.namespace ?? '') && CONTROLS.test(it.metadata.name))
    .flatMap((here) =>
      imagesOf(here).flatMap((image): Finding[] => {
        const same = there.find((one) => one.image.path === image.path);
        const [from, to] = [versionOf(image.tag), versionOf(same?.image.tag)];
        if (!same || !from || !to || compareVersions(to, from) >= 0) return [];
        return [
          {
            about: `target ${about(same.it)}`,
            saw: `${image.path} ${same.image.tag}; ${image.tag} in the source`,
            want: `${image.tag} or newer`,
          },
        ];
      }),
    );
}
