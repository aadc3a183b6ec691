import type { Json } from '../types.js';
import { aggregated, coreVersions, group, groupList, resourceList, versionInfo } from './discovery.js';
import { noSuchPath } from './errors.js';
import { apiVersionOf } from './kinds.js';
import { openApiV2, openApiV3, openApiV3Document } from './openapi.js';
import type { Store } from './store.js';
import type { Answer, WireRequest } from './wire.js';
import { answer, answerError, NOT_THERE } from './wire.js';

const OK: Answer = { status: 200, text: 'ok', type: 'text/plain; charset=utf-8' };

const found = (body: Json): Answer => (body === undefined ? NOT_THERE : answer(body, body.code));

/** Everything that isn't the URL of a resource: version, health, discovery, schemas. */
export function handlePlainPath(store: Store, request: WireRequest, address: string): Answer {
  const [first, second, third, ...rest] = request.path;
  switch (first) {
    case undefined:
      return answer({
        paths: ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/readyz', '/version'],
      });
    case 'version':
      return answer(versionInfo(store));
    case 'healthz':
    case 'livez':
    case 'readyz':
      return OK;
    case 'api':
      if (second === undefined)
        return discovery(store, request, [{ group: '', versions: ['v1'] }], coreVersions(address));
      return third === undefined && second === 'v1' ? found(resourceList(store, 'v1')) : answerError(noSuchPath());
    case 'apis':
      if (second === undefined) return discovery(store, request, store.kinds.groups(), groupList(store));
      if (third === undefined) return found(group(store, second));
      if (group(store, second) === undefined) return NOT_THERE;
      return found(resourceList(store, apiVersionOf(second, third)) ?? noSuchPath().body());
    case 'openapi':
      if (second === 'v2' && third === undefined) return openApiV2(store, request.headers.accept ?? '');
      if (second === 'v3')
        return third === undefined
          ? answer(openApiV3(store))
          : found(openApiV3Document(store, [third, ...rest].join('/')));
      return NOT_THERE;
    default:
      return NOT_THERE;
  }
}

/** The first release that answers discovery in one piece, and the version of that answer. */
const aggregatedVersions = (minor: number): string[] =>
  minor >= 30 ? ['v2', 'v2beta1'] : minor >= 27 ? ['v2beta1'] : [];

function discovery(
  store: Store,
  request: WireRequest,
  groups: { group: string; versions: string[] }[],
  plain: Json,
): Answer {
  for (const part of (request.headers.accept ?? '').split(',')) {
    if (!part.includes('as=APIGroupDiscoveryList')) continue;
    const version = /;\s*v=(v2beta1|v2)\s*(;|$)/.exec(part)?.[1];
    if (version === undefined || !aggregatedVersions(store.minor).includes(version)) continue;
    const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    return { status: 200, text: JSON.stringify(aggregated(store, groups, version)), type };
  }
  return answer(plain);
}
