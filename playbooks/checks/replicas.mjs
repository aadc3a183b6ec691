/**
 * A check of one's own, to start from: `migrate preflight --checks playbooks/checks`.
 *
 * It is data and one pure function over what was seen of both clusters. No findings means pass; to say that it could not look it throws an
 * error named Unknown, which refuses; to say that its question does not arise, one named Skipped.
 */
export default {
  id: 'single-replica',
  group: 'workloads',
  asks: 'Does every front run more than one pod?',
  before: 'traffic',
  severity: 'warn',
  // What must have been read for it, by kind and side; a kind that could not be read makes it unknown.
  reads: { source: ['Deployment.apps'] },
  hint: {
    why: 'A single pod is a pause at each rollout, on either side.',
    fix: 'Run at least two, and a PodDisruptionBudget beside them.',
  },

  look({ source, namespaces }) {
    return source
      .list('Deployment.apps', namespaces)
      .filter((it) => it.spec.replicas === 1)
      .map((it) => ({
        about: `deployment ${it.metadata.namespace}/${it.metadata.name}`,
        saw: '1 replica',
        want: '2 or more',
      }));
  },
};
