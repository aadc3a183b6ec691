import type { Answer, WireRequest } from './wire.js';
import type { Parts } from './route.js';

/** Requests as a server counts them, for `/metrics`. */
export interface RequestCounts {
  count(request: WireRequest, parts: Parts, verb: string, status: number): void;
  answer(): Answer;
}

/** The words of the metric: a create is a POST, a patch of server-side apply an APPLY. @source kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/metrics/metrics.go */
const VERBS: Record<string, string> = { create: 'POST', update: 'PUT', deletecollection: 'DELETECOLLECTION' };

export function requestCounts(startedMs: number): RequestCounts {
  const counts = new Map<string, number>();
  return {
    count({ headers }, { group, apiVersion, resource, subresource = '', name, namespace }, verb, status) {
      const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
      const scope = name !== undefined ? 'resource' : namespace !== undefined ? 'namespace' : 'cluster';
      const word =
        verb === 'patch' && headers['content-type']?.startsWith('application/apply-patch')
          ? 'APPLY'
          : (VERBS[verb] ?? verb.toUpperCase());
      const labels = {
        code: status,
        component: 'apiserver',
        dry_run: '',
        group,
        resource,
        scope,
        subresource,
        verb: word,
        version,
      };
      const key = Object.entries(labels)
        .map(([label, value]) => `${label}="${value}"`)
        .join(',');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    answer: () => ({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      text: [
        '# TYPE apiserver_request_total counter',
        ...[...counts]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([labels, n]) => `apiserver_request_total{${labels}} ${n}`),
        '# TYPE process_start_time_seconds gauge',
        `process_start_time_seconds ${startedMs / 1000}`,
        '',
      ].join('\n'),
    }),
  };
}
