import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** One API server to be judged. */
export interface Connection {
  /** `http://127.0.0.1:PORT` or `https://...` */
  url: string;
  /** of somebody who may do everything */
  token: string;
  /** PEM, for https */
  ca?: string | Buffer;
  /** `v1.20.15` */
  version: string;
  /** somebody empties namespaces and collects garbage */
  controllers: boolean;
  /** of the user `reader`, who may get and list configmaps in the namespace `readable` and nothing else */
  readerToken?: string;
  stop(): Promise<void>;
}

// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

interface Reply {
  status: number;
  body: Json;
  headers: IncomingMessage['headers'];
}

const JSON_PATCH = 'application/json-patch+json';
const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const APPLY = 'application/apply-patch+yaml';

interface CallOptions {
  type?: string;
  accept?: string;
  token?: string | null;
}

interface Watch {
  /** the next event, of whatever type */
  next(): Promise<{ type: string; object: Json }>;
  /** resolves when the server ends the stream */
  ended: Promise<void>;
  close(): void;
}

class Client {
  readonly #connection: Connection;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #watches = new Set<Watch>();

  constructor(connection: Connection) {
    this.#connection = connection;
    const { url, ca } = connection;
    this.#agent = url.startsWith('https:')
      ? new HttpsAgent({ keepAlive: true, ca })
      : new HttpAgent({ keepAlive: true });
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#agent.destroy();
  }

  #open(
    method: string,
    path: string,
    body: string | Buffer | undefined,
    { type, accept, token }: CallOptions,
  ): Promise<IncomingMessage> {
    const { url, token: own } = this.#connection;
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const headers: Record<string, string> = { accept: accept ?? 'application/json', 'user-agent': 'conformance/1' };
    if (token !== null) headers['authorization'] = `Bearer ${token ?? own}`;
    if (body !== undefined) {
      headers['content-type'] = type ?? 'application/json';
      headers['content-length'] = String(Buffer.byteLength(body)); // node sends none with a DELETE by itself
    }
    return new Promise((resolve, reject) => {
      const request = send(url + path, { method, headers, agent: this.#agent }, resolve);
      request.on('error', reject);
      request.end(body);
    });
  }

  async call(method: string, path: string, body?: Json, options: CallOptions = {}): Promise<Reply> {
    const text = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const response = await this.#open(method, path, text, options);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const answer = Buffer.concat(chunks).toString();
    const isJson = response.headers['content-type']?.includes('json');
    return { status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer, headers: response.headers };
  }

  get = (path: string, options?: CallOptions): Promise<Reply> => this.call('GET', path, undefined, options);
  post = (path: string, body: Json, options?: CallOptions): Promise<Reply> => this.call('POST', path, body, options);
  put = (path: string, body: Json): Promise<Reply> => this.call('PUT', path, body);
  patch = (path: string, body: Json, type = MERGE): Promise<Reply> => this.call('PATCH', path, body, { type });
  delete = (path: string, body?: Json): Promise<Reply> => this.call('DELETE', path, body);

  async apply(path: string, manifest: Json, manager: string, force = false): Promise<Reply> {
    return this.call('PATCH', `${path}?fieldManager=${manager}${force ? '&force=true' : ''}`, manifest, {
      type: APPLY,
    });
  }

  /** @returns the object; fails on anything but 200 and 201 */
  async must(reply: Promise<Reply>): Promise<Json> {
    const { status, body } = await reply;
    assert.ok(status === 200 || status === 201, `${status} ${JSON.stringify(body)}`);
    return body;
  }

  async watch(path: string): Promise<Watch> {
    const response = await this.#open('GET', path, undefined, {});
    assert.equal(response.statusCode, 200);
    const events: Json[] = [];
    const waiting: ((event: Json) => void)[] = [];
    let rest = '';
    const ended = new Promise<void>((resolve) => response.on('close', resolve));
    response.on('error', () => {});
    response.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = JSON.parse(line);
        const next = waiting.shift();
        if (next) next(event);
        else events.push(event);
      }
    });
    const watch: Watch = {
      next: () =>
        new Promise((resolve, reject) => {
          const event = events.shift();
          if (event) return resolve(event);
          const timer = setTimeout(() => reject(new Error('no event within 5 s')), 5_000);
          waiting.push((it) => {
            clearTimeout(timer);
            resolve(it);
          });
        }),
      ended,
      close: () => response.destroy(),
    };
    this.#watches.add(watch);
    return watch;
  }

  /** Asks until the answer is yes. */
  async until(what: string, ask: () => Promise<boolean>, limitMs = 10_000): Promise<void> {
    const deadline = Date.now() + limitMs;
    while (!(await ask())) {
      if (Date.now() > deadline) assert.fail(`not within ${limitMs} ms: ${what}`);
      await sleep(30);
    }
  }
}

const suffix = (): string => randomBytes(4).toString('hex');
const names = (list: Json): string[] => list.items.map((item: Json) => item.metadata.name);
const eventText = ({ type, object }: { type: string; object: Json }): string => `${type} ${object.metadata.name}`;

const deploymentNamed = (name: string, more: Json = {}): Json => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'web', image: 'nginx:1', ports: [{ containerPort: 80 }] }] },
    },
    ...more,
  },
});

const configMapNamed = (name: string, data: Json = { a: '1' }): Json => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

/** A definition of a kind without status subresource, as Velero's are, or with one. */
function definitionOf(group: string, plural: string, kind: string, more: Json = {}): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          ...more,
        },
      ],
    },
  };
}

/**
 * What clients of an API server rely on, asked over raw HTTP. The same tests run against the twin and against real servers; where
 * these differ, the twin is wrong.
 */
export function kubeConformance(name: string, connect: () => Promise<Connection>): void {
  describe(`Kubernetes API: ${name}`, { concurrency: true }, () => {
    let client: Client;
    let connection: Connection;
    let minor = 0;
    const space = `c-${suffix()}`;
    const core = `/api/v1/namespaces/${space}`;
    const apps = `/apis/apps/v1/namespaces/${space}`;
    const maps = `${core}/configmaps`;

    before(async () => {
      connection = await connect();
      client = new Client(connection);
      minor = Number(connection.version.split('.')[1]);
      await client.must(client.post('/api/v1/namespaces', { metadata: { name: space } }));
      await client.must(client.post('/api/v1/namespaces', { metadata: { name: 'readable' } }).then(existing));
      await client.until(
        'the namespace is furnished',
        async () => !connection.controllers || (await client.get(`${core}/serviceaccounts/default`)).status === 200,
      );
    });

    after(async () => {
      client.close();
      await connection.stop();
    });

    const existing = (reply: Reply): Reply => (reply.status === 409 ? { ...reply, status: 200 } : reply);

    // Objects

    describe('objects', { concurrency: true }, () => {
      it('gives a new object uid, creation time and resource version, and refuses a second of the name', async () => {
        const made = await client.post(maps, configMapNamed('first'));
        assert.equal(made.status, 201);
        assert.equal(made.body.kind, 'ConfigMap');
        assert.equal(made.body.apiVersion, 'v1');
        assert.match(made.body.metadata.uid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.match(made.body.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        assert.equal(made.body.metadata.namespace, space);
        assert.ok(Number(made.body.metadata.resourceVersion) > 0);
        assert.equal(made.body.metadata.generation, undefined);

        const again = await client.post(maps, configMapNamed('first'));
        assert.equal(again.status, 409);
        assert.deepEqual(again.body, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: 'configmaps "first" already exists',
          reason: 'AlreadyExists',
          details: { name: 'first', kind: 'configmaps' },
          code: 409,
        });
      });

      it('says what is not there, in a namespace, a group and a namespace', async () => {
        const map = await client.get(`${maps}/none`);
        assert.equal(map.status, 404);
        assert.deepEqual(map.body.details, { name: 'none', kind: 'configmaps' });
        assert.equal(map.body.message, 'configmaps "none" not found');
        const deployment = await client.get(`${apps}/deployments/none`);
        assert.equal(deployment.body.message, 'deployments.apps "none" not found');
        assert.deepEqual(deployment.body.details, { name: 'none', group: 'apps', kind: 'deployments' });
        const elsewhere = await client.post('/api/v1/namespaces/no-such-space/configmaps', configMapNamed('x'));
        assert.equal(elsewhere.status, 404);
        assert.equal(elsewhere.body.message, 'namespaces "no-such-space" not found');
        assert.deepEqual(elsewhere.body.details, { name: 'no-such-space', kind: 'namespaces' });
      });

      it('draws a name for generateName', async () => {
        const made = await client.must(client.post(maps, { metadata: { generateName: 'drawn-' } }));
        assert.match(made.metadata.name, /^drawn-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
        assert.equal(made.metadata.generateName, 'drawn-');
      });

      it('refuses names that are not DNS names, and bodies that are not of the URL', async () => {
        const named = await client.post(maps, configMapNamed('Not_A_Name'));
        assert.equal(named.status, 422);
        assert.equal(named.body.reason, 'Invalid');
        assert.equal(named.body.details.kind, 'ConfigMap');
        assert.deepEqual(
          named.body.details.causes.map(({ field, reason }: Json) => [field, reason]),
          [['metadata.name', 'FieldValueInvalid']],
        );
        assert.match(
          named.body.message,
          /^ConfigMap "Not_A_Name" is invalid: metadata\.name: Invalid value: "Not_A_Name": /,
        );

        const nameless = await client.post(maps, { metadata: {} });
        assert.equal(nameless.status, 422);
        assert.match(nameless.body.message, /name or generateName is required/);

        const elsewhere = await client.post(maps, { metadata: { name: 'x', namespace: 'default' } });
        assert.equal(elsewhere.status, 400);
        assert.match(
          elsewhere.body.message,
          /^the namespace of the provided object does not match the namespace sent on the request/,
        );

        const kind = await client.post(maps, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } });
        assert.equal(kind.status, 400);
        assert.equal(kind.body.reason, 'BadRequest');

        const broken = await client.post(maps, '{"metadata":');
        assert.equal(broken.status, 400);

        const renamed = await client.put(`${maps}/one-name`, configMapNamed('other-name'));
        assert.equal(renamed.status, 400);
        assert.equal(
          renamed.body.message,
          'the name of the object (other-name) does not match the name on the URL (one-name)',
        );
      });

      it('refuses an update over a newer version, and takes one without a version', async () => {
        const first = await client.must(client.post(maps, configMapNamed('raced')));
        const second = await client.must(client.put(`${maps}/raced`, { ...first, data: { a: '2' } }));
        assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion);
        const late = await client.put(`${maps}/raced`, { ...first, data: { a: '3' } });
        assert.equal(late.status, 409);
        assert.equal(late.body.reason, 'Conflict');
        assert.equal(
          late.body.message,
          'Operation cannot be fulfilled on configmaps "raced": the object has been modified; please apply your changes to the latest version and try again',
        );
        const blind = await client.must(client.put(`${maps}/raced`, configMapNamed('raced', { a: '4' })));
        assert.equal(blind.data.a, '4');
        assert.equal(blind.metadata.uid, first.metadata.uid);
        assert.equal(blind.metadata.creationTimestamp, first.metadata.creationTimestamp);
        const namesake = await client.put(`${maps}/raced`, {
          ...configMapNamed('raced'),
          metadata: { name: 'raced', uid: 'another' },
        });
        assert.equal(namesake.status, 409);
        assert.match(namesake.body.message, /Precondition failed: UID in precondition: another, UID in object meta: /);
      });

      it('leaves the resource version alone when nothing changes', async () => {
        const made = await client.must(client.post(maps, configMapNamed('still')));
        const same = await client.must(client.patch(`${maps}/still`, { data: { a: '1' } }));
        assert.equal(same.metadata.resourceVersion, made.metadata.resourceVersion);
      });

      it('refuses a PUT to a name that is not there', async () => {
        const { status, body } = await client.put(`${maps}/absent`, configMapNamed('absent'));
        assert.equal(status, 404);
        assert.equal(body.message, 'configmaps "absent" not found');
      });

      it('keeps nothing of a dry run', async () => {
        const made = await client.call('POST', `${maps}?dryRun=All`, configMapNamed('tried'));
        assert.equal(made.status, 201);
        assert.ok(made.body.metadata.uid);
        assert.equal((await client.get(`${maps}/tried`)).status, 404);
        await client.must(client.post(maps, configMapNamed('kept')));
        const patched = await client.must(
          client.call('PATCH', `${maps}/kept?dryRun=All`, { data: { a: '2' } }, { type: MERGE }),
        );
        assert.equal(patched.data.a, '2');
        await client.must(client.call('DELETE', `${maps}/kept?dryRun=All`));
        assert.equal((await client.must(client.get(`${maps}/kept`))).data.a, '1');
        assert.equal((await client.call('POST', `${maps}?dryRun=Some`, configMapNamed('tried'))).status, 422);
      });

      it('warns of old node labels and of an Ingress class as an annotation', async () => {
        const os = 'beta.kubernetes.io/os';
        const zone = 'failure-domain.beta.kubernetes.io/zone';
        const terms = { nodeSelectorTerms: [{ matchExpressions: [{ key: zone, operator: 'In', values: ['a'] }] }] };
        const manifest = deploymentNamed('warned');
        const choice = {
          nodeSelector: { [os]: 'linux' },
          affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
        };
        Object.assign(manifest.spec.template.spec, choice);
        const warned = ({ headers }: Reply): string[] =>
          [...(headers['warning'] ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map((it) => String(it[1]));
        const old = [
          `spec.template.spec.nodeSelector[${os}]: deprecated since v1.14; use \\"kubernetes.io/os\\" instead`,
          `spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: ${zone} is deprecated since v1.17; use \\"topology.kubernetes.io/zone\\" instead`,
        ];
        assert.deepEqual(warned(await client.post(`${apps}/deployments?dryRun=All`, manifest)), minor >= 21 ? old : []);
        await client.must(client.post(`${apps}/deployments`, manifest));
        assert.deepEqual(
          warned(await client.patch(`${apps}/deployments/warned`, { metadata: { labels: { a: 'b' } } })),
          [],
        );
        assert.deepEqual(
          warned(await client.patch(`${apps}/deployments/warned`, { spec: { replicas: 0 } })),
          minor >= 21 ? old : [],
        );
        const rules = [
          {
            http: {
              paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 80 } } } }],
            },
          },
        ];
        const ingress = {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'Ingress',
          metadata: { name: 'warned', annotations: { 'kubernetes.io/ingress.class': 'nginx' } },
          spec: { rules },
        };
        const said = `annotation \\"kubernetes.io/ingress.class\\" is deprecated, please use 'spec.ingressClassName' instead`;
        assert.deepEqual(
          warned(await client.post(`/apis/networking.k8s.io/v1/namespaces/${space}/ingresses?dryRun=All`, ingress)),
          minor >= 22 ? [said] : [],
        );
      });

      it('takes objects in protobuf', async () => {
        const field = (number: number, ...content: (string | Buffer)[]): Buffer => {
          const bytes = Buffer.concat(content.map((it) => Buffer.from(it)));
          return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
        };
        const object = [
          field(1, field(1, 'in-protobuf'), field(11, field(1, 'a'), field(2, 'b'))),
          field(2, field(1, 'key'), field(2, 'value')),
        ];
        const body = Buffer.concat([
          Buffer.from('k8s\0'),
          field(1, field(1, 'v1'), field(2, 'ConfigMap')),
          field(2, ...object),
        ]);
        const type = 'application/vnd.kubernetes.protobuf';
        const made = await client.must(client.post(maps, body, { type }));
        assert.equal(made.metadata.name, 'in-protobuf');
        assert.deepEqual(made.metadata.labels, { a: 'b' });
        assert.deepEqual(made.data, { key: 'value' });
      });

      it('refuses labels that are not labels', async () => {
        const { status, body } = await client.post(maps, {
          metadata: { name: 'labelled', labels: { a: 'not a label!' } },
        });
        assert.equal(status, 422);
        assert.equal(body.details.causes[0].field, 'metadata.labels');
      });
    });

    // Lists

    describe('lists', { concurrency: true }, () => {
      const listed = `p-${suffix()}`;
      const path = `/api/v1/namespaces/${listed}/secrets`;

      before(async () => {
        await client.must(client.post('/api/v1/namespaces', { metadata: { name: listed } }));
        for (let index = 0; index < 7; index++) {
          const labels = {
            group: index % 2 === 0 ? 'even' : 'odd',
            list: listed,
            ...(index === 0 && { first: 'yes' }),
          };
          await client.must(client.post(path, { metadata: { name: `s${index}`, labels } }));
        }
      });

      const only = `labelSelector=list%3D${listed}`;

      it('gives items without kind and version, in the order of their names', async () => {
        const { kind, apiVersion, metadata, items } = await client.must(client.get(`${path}?${only}`));
        assert.equal(kind, 'SecretList');
        assert.equal(apiVersion, 'v1');
        assert.ok(Number(metadata.resourceVersion) >= Number(items.at(-1).metadata.resourceVersion));
        assert.deepEqual(
          items.map((it: Json) => it.metadata.name),
          ['s0', 's1', 's2', 's3', 's4', 's5', 's6'],
        );
        assert.equal(items[0].kind, undefined);
      });

      it('shows one moment over all pages of a list', async () => {
        const scratch = `p-${suffix()}`;
        const here = `/api/v1/namespaces/${scratch}/limitranges`;
        await client.must(client.post('/api/v1/namespaces', { metadata: { name: scratch } }));
        const range = (name: string): Json => ({ metadata: { name }, spec: { limits: [] } });
        for (const own of ['a', 'b', 'c', 'd', 'e']) await client.must(client.post(here, range(own)));
        const first = await client.must(client.get(`${here}?limit=2`));
        assert.deepEqual(names(first), ['a', 'b']);
        assert.equal(first.metadata.remainingItemCount, 3);
        assert.ok(first.metadata.continue);
        await client.must(client.delete(`${here}/d`));
        await client.must(client.post(here, range('cc')));
        const second = await client.must(
          client.get(`${here}?limit=2&continue=${encodeURIComponent(first.metadata.continue)}`),
        );
        assert.deepEqual(names(second), ['c', 'd']);
        assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
        const third = await client.must(
          client.get(`${here}?limit=2&continue=${encodeURIComponent(second.metadata.continue)}`),
        );
        assert.deepEqual(names(third), ['e']);
        assert.equal(third.metadata.continue, undefined);
        assert.equal(third.metadata.remainingItemCount, undefined);
        assert.deepEqual(names(await client.must(client.get(here))), ['a', 'b', 'c', 'cc', 'e']);
      });

      it('refuses a token it did not give', async () => {
        const { status, body } = await client.get(`${path}?limit=2&continue=nonsense`);
        assert.equal(status, 400);
        assert.match(body.message, /continue key is not valid/);
      });

      it('does not count what is left of a selected list', async () => {
        const page = await client.must(client.get(`${path}?limit=2&${only}`));
        assert.equal(page.metadata.remainingItemCount, undefined);
        assert.ok(page.metadata.continue);
      });

      it('selects by labels', async () => {
        const select = async (text: string): Promise<string[]> =>
          names(await client.must(client.get(`${path}?labelSelector=${encodeURIComponent(`list=${listed},${text}`)}`)));
        assert.deepEqual(await select('group=even'), ['s0', 's2', 's4', 's6']);
        assert.deepEqual(await select('group!=even'), ['s1', 's3', 's5']);
        assert.deepEqual(await select('group in (odd, none)'), ['s1', 's3', 's5']);
        assert.deepEqual(await select('group notin (odd)'), ['s0', 's2', 's4', 's6']);
        assert.deepEqual(await select('first'), ['s0']);
        assert.deepEqual(await select('!first,group==even'), ['s2', 's4', 's6']);
        assert.deepEqual(await select('absent!=x,first=yes'), ['s0']);
        assert.equal((await client.get(`${path}?labelSelector=${encodeURIComponent('a in b')}`)).status, 400);
      });

      it('selects by fields, and says which it cannot', async () => {
        assert.deepEqual(names(await client.must(client.get(`${path}?fieldSelector=metadata.name%3Ds3`))), ['s3']);
        const all = await client.must(
          client.get(`/api/v1/secrets?fieldSelector=metadata.namespace%3D${listed}&${only}`),
        );
        assert.equal(all.items.length, 7);
        const rest = await client.must(client.get(`${path}?fieldSelector=metadata.name!%3Ds3&${only}`));
        assert.equal(rest.items.length, 6);
        const bad = await client.get(`${path}?fieldSelector=spec.color%3Dred`);
        assert.equal(bad.status, 400);
        assert.match(bad.body.message, /field label not supported: spec\.color/);
      });

      it('deletes a selected collection', async () => {
        const scratch = `p-${suffix()}`;
        const here = `/api/v1/namespaces/${scratch}/secrets`;
        await client.must(client.post('/api/v1/namespaces', { metadata: { name: scratch } }));
        for (const own of ['a', 'b', 'c'])
          await client.must(
            client.post(here, { metadata: { name: own, labels: { drop: String(own !== 'b'), mine: 'y' } } }),
          );
        const reply = await client.call('DELETE', `${here}?labelSelector=drop%3Dtrue`);
        assert.equal(reply.status, 200);
        assert.deepEqual(names(await client.must(client.get(`${here}?labelSelector=mine`))), ['b']);
      });

      it('shows tables and bare metadata to those who ask', async () => {
        const table = await client.must(
          client.get(`${path}?${only}`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }),
        );
        assert.equal(table.kind, 'Table');
        assert.deepEqual(
          table.columnDefinitions.map((it: Json) => it.name),
          ['Name', 'Type', 'Data', 'Age'],
        );
        assert.deepEqual(table.rows[0].cells.slice(0, 3), ['s0', 'Opaque', 0]);
        assert.equal(table.rows[0].object.kind, 'PartialObjectMetadata');
        assert.equal(table.rows[0].object.metadata.name, 's0');
        const partial = await client.must(
          client.get(`${path}?${only}`, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }),
        );
        assert.equal(partial.kind, 'PartialObjectMetadataList');
        assert.equal(partial.items[0].data, undefined);
      });
    });

    // Patches

    describe('patches', { concurrency: true }, () => {
      it('merges as RFC 7386 says', async () => {
        await client.must(client.post(maps, configMapNamed('merged', { a: '1', b: '2' })));
        const patched = await client.must(
          client.patch(`${maps}/merged`, { metadata: { labels: { x: 'y' } }, data: { a: null, c: '3' } }),
        );
        assert.deepEqual(patched.data, { b: '2', c: '3' });
        assert.deepEqual(patched.metadata.labels, { x: 'y' });
        const stale = await client.patch(`${maps}/merged`, { metadata: { resourceVersion: '1' }, data: { z: '1' } });
        assert.equal(stale.status, 409);
        const absent = await client.patch(`${maps}/not-there`, { data: { z: '1' } });
        assert.equal(absent.status, 404);
      });

      it('does the operations of RFC 6902, all or none', async () => {
        await client.must(client.post(maps, configMapNamed('operated', { a: '1', b: '2' })));
        const operations = [
          { op: 'test', path: '/data/a', value: '1' },
          { op: 'replace', path: '/data/a', value: '9' },
          { op: 'remove', path: '/data/b' },
          { op: 'add', path: '/data/c', value: '3' },
          { op: 'copy', from: '/data/a', path: '/data/d' },
          { op: 'move', from: '/data/c', path: '/data/e' },
          { op: 'add', path: '/metadata/annotations', value: { 'a/b': 'x' } },
          { op: 'replace', path: '/metadata/annotations/a~1b', value: 'y' },
        ];
        const patched = await client.must(client.patch(`${maps}/operated`, operations, JSON_PATCH));
        assert.deepEqual(patched.data, { a: '9', d: '9', e: '3' });
        assert.equal(patched.metadata.annotations['a/b'], 'y');
        const failed = await client.patch(
          `${maps}/operated`,
          [
            { op: 'add', path: '/data/f', value: '1' },
            { op: 'test', path: '/data/a', value: '0' },
          ],
          JSON_PATCH,
        );
        assert.equal(failed.status, 422);
        assert.equal(failed.body.reason, 'Invalid');
        const missing = await client.patch(`${maps}/operated`, [{ op: 'remove', path: '/data/none' }], JSON_PATCH);
        assert.equal(missing.status, 422);
        assert.equal((await client.must(client.get(`${maps}/operated`))).data.f, undefined);
      });

      it('merges named lists by their key, in a strategic merge patch', async () => {
        await client.must(client.post(`${apps}/deployments`, deploymentNamed('strategic')));
        const here = `${apps}/deployments/strategic`;
        const sidecar = {
          name: 'log',
          image: 'log:1',
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        };
        const added = await client.must(
          client.patch(here, { spec: { template: { spec: { containers: [sidecar] } } } }, STRATEGIC),
        );
        assert.deepEqual(added.spec.template.spec.containers.map((it: Json) => it.name).toSorted(), ['log', 'web']);
        const changes = {
          name: 'log',
          env: [
            { name: 'A', $patch: 'delete' },
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
        };
        const changed = await client.must(
          client.patch(here, { spec: { template: { spec: { containers: [changes] } } } }, STRATEGIC),
        );
        const log = changed.spec.template.spec.containers.find((it: Json) => it.name === 'log');
        assert.deepEqual(
          log.env.toSorted((a: Json, b: Json) => (a.name < b.name ? -1 : 1)),
          [
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
        );
        assert.equal(log.image, 'log:1');
        const removed = await client.must(
          client.patch(
            here,
            { spec: { template: { spec: { containers: [{ name: 'log', $patch: 'delete' }] } } } },
            STRATEGIC,
          ),
        );
        assert.deepEqual(
          removed.spec.template.spec.containers.map((it: Json) => it.name),
          ['web'],
        );
        assert.equal(removed.spec.template.spec.containers[0].ports.length, 1);
      });

      it('orders, replaces and keeps keys as a strategic merge patch directs', async () => {
        await client.must(
          client.post(
            `${apps}/deployments`,
            deploymentNamed('directed', { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } }),
          ),
        );
        const here = `${apps}/deployments/directed`;
        const ordered = await client.must(
          client.patch(
            here,
            {
              spec: {
                template: {
                  spec: {
                    '$setElementOrder/containers': [{ name: 'first' }, { name: 'web' }],
                    containers: [{ name: 'first', image: 'f:1' }],
                  },
                },
              },
            },
            STRATEGIC,
          ),
        );
        assert.deepEqual(
          ordered.spec.template.spec.containers.map((it: Json) => it.name),
          ['first', 'web'],
        );
        const retained = await client.must(
          client.patch(here, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }, STRATEGIC),
        );
        assert.deepEqual(retained.spec.strategy, { type: 'Recreate' });
        const replaced = await client.must(
          client.patch(
            here,
            { spec: { template: { spec: { containers: [{ name: 'only', image: 'o:1' }, { $patch: 'replace' }] } } } },
            STRATEGIC,
          ),
        );
        assert.deepEqual(
          replaced.spec.template.spec.containers.map((it: Json) => it.name),
          ['only'],
        );
        const tolerations = [{ key: 'a', operator: 'Exists' }];
        await client.must(client.patch(here, { spec: { template: { spec: { tolerations } } } }, STRATEGIC));
        const others = await client.must(
          client.patch(
            here,
            { spec: { template: { spec: { tolerations: [{ key: 'b', operator: 'Exists' }] } } } },
            STRATEGIC,
          ),
        );
        assert.deepEqual(others.spec.template.spec.tolerations, [{ key: 'b', operator: 'Exists' }]);
        const nothing = await client.must(
          client.patch(here, { spec: { template: { spec: { tolerations: null } } } }, STRATEGIC),
        );
        assert.equal(nothing.spec.template.spec.tolerations, undefined);
      });

      it('merges service ports by port, and finalizers as a set', async () => {
        const ports = [
          { name: 'a', port: 80 },
          { name: 'b', port: 81 },
        ];
        await client.must(
          client.post(`${core}/services`, {
            metadata: { name: 'ported', finalizers: ['x.example/one'] },
            spec: { ports },
          }),
        );
        const here = `${core}/services/ported`;
        const patched = await client.must(
          client.patch(
            here,
            { metadata: { finalizers: ['x.example/two'] }, spec: { ports: [{ port: 81, targetPort: 8081 }] } },
            STRATEGIC,
          ),
        );
        assert.deepEqual(patched.metadata.finalizers.toSorted(), ['x.example/one', 'x.example/two']);
        assert.deepEqual(
          patched.spec.ports.map((it: Json) => [it.name, it.port, it.targetPort]),
          [
            ['a', 80, 80],
            ['b', 81, 8081],
          ],
        );
        const without = await client.must(
          client.patch(here, { metadata: { '$deleteFromPrimitiveList/finalizers': ['x.example/one'] } }, STRATEGIC),
        );
        assert.deepEqual(without.metadata.finalizers, ['x.example/two']);
        await client.must(client.patch(here, { metadata: { finalizers: null } }));
        await client.must(client.delete(here));
      });

      it('refuses patches of unknown types', async () => {
        await client.must(client.post(maps, configMapNamed('typed')));
        const { status, body } = await client.patch(`${maps}/typed`, {}, 'application/json');
        assert.equal(status, 415);
        assert.equal(body.reason, 'UnsupportedMediaType');
      });
    });

    // Server-side apply

    describe('server-side apply', { concurrency: true }, () => {
      const manifestOf = (name: string, data: Json, labels?: Json): Json => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, ...(labels && { labels }) },
        data,
      });

      it('creates, changes, and drops what its manager no longer names', async () => {
        const here = `${maps}/applied`;
        const made = await client.apply(here, manifestOf('applied', { a: '1', b: '2' }, { x: '1' }), 'one');
        assert.equal(made.status, 201);
        const [owner] = made.body.metadata.managedFields;
        assert.equal(owner.manager, 'one');
        assert.equal(owner.operation, 'Apply');
        assert.equal(owner.apiVersion, 'v1');
        assert.equal(owner.fieldsType, 'FieldsV1');
        assert.deepEqual(owner.fieldsV1, {
          'f:data': { 'f:a': {}, 'f:b': {} },
          'f:metadata': { 'f:labels': { 'f:x': {} } },
        });
        await client.must(client.patch(here, { data: { c: '3' } }));
        const changed = await client.apply(here, manifestOf('applied', { a: '9' }), 'one');
        assert.equal(changed.status, 200);
        assert.deepEqual(changed.body.data, { a: '9', c: '3' });
        assert.equal(changed.body.metadata.labels, undefined);
      });

      it('refuses to change what another manager owns, and says whose it is; force takes it', async () => {
        const here = `${maps}/contested`;
        await client.must(client.apply(here, manifestOf('contested', { a: '1', b: '1' }), 'one'));
        const refused = await client.apply(here, manifestOf('contested', { a: '2' }), 'two');
        assert.equal(refused.status, 409);
        assert.equal(refused.body.reason, 'Conflict');
        assert.deepEqual(refused.body.details.causes, [
          { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
        ]);
        assert.equal(refused.body.message, 'Apply failed with 1 conflict: conflict with "one": .data.a');
        const both = await client.apply(here, manifestOf('contested', { a: '2', b: '2' }), 'two');
        assert.equal(both.body.message, 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b');

        const same = await client.must(client.apply(here, manifestOf('contested', { a: '1' }), 'two'));
        assert.equal(same.data.a, '1');
        const forced = await client.must(client.apply(here, manifestOf('contested', { a: '2' }), 'two', true));
        assert.deepEqual(forced.data, { a: '2', b: '1' });
        const owned = Object.fromEntries(forced.metadata.managedFields.map((it: Json) => [it.manager, it.fieldsV1]));
        assert.deepEqual(owned, { one: { 'f:data': { 'f:b': {} } }, two: { 'f:data': { 'f:a': {} } } });
      });

      it('keeps what another manager applied as well', async () => {
        const here = `${maps}/shared`;
        await client.must(client.apply(here, manifestOf('shared', { a: '1', b: '1' }), 'one'));
        await client.must(client.apply(here, manifestOf('shared', { a: '1' }), 'two'));
        const left = await client.must(client.apply(here, manifestOf('shared', {}), 'one'));
        assert.deepEqual(left.data, { a: '1' });
      });

      it('meets plain updates as conflicts, with version and time', async () => {
        const here = `${maps}/updated`;
        await client.must(client.call('POST', `${maps}?fieldManager=maker`, manifestOf('updated', { a: '1' })));
        const refused = await client.apply(here, manifestOf('updated', { a: '2' }), 'one');
        assert.equal(refused.status, 409);
        assert.match(refused.body.details.causes[0].message, /^conflict with "maker" using v1( at \d{4}-.*Z)?$/);
      });

      it('loses fields to a plain update', async () => {
        const here = `${maps}/lost`;
        await client.must(client.apply(here, manifestOf('lost', { a: '1', b: '1' }), 'one'));
        const patched = await client.must(
          client.call('PATCH', `${here}?fieldManager=hand`, { data: { a: '2' } }, { type: MERGE }),
        );
        const owned = Object.fromEntries(patched.metadata.managedFields.map((it: Json) => [it.manager, it.fieldsV1]));
        assert.deepEqual(owned, { one: { 'f:data': { 'f:b': {} } }, hand: { 'f:data': { 'f:a': {} } } });
      });

      it('owns items of keyed lists one by one', async () => {
        const here = `${apps}/deployments/parted`;
        await client.must(client.apply(here, deploymentNamed('parted'), 'one'));
        const side = {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'parted' },
          spec: { template: { spec: { containers: [{ name: 'side', image: 's:1' }] } } },
        };
        const added = await client.must(client.apply(here, side, 'two'));
        assert.deepEqual(added.spec.template.spec.containers.map((it: Json) => it.name).toSorted(), ['side', 'web']);
        const clash = structuredClone(side);
        clash.spec.template.spec.containers = [{ name: 'web', image: 'nginx:2' }];
        const refused = await client.apply(here, clash, 'two');
        assert.deepEqual(
          refused.body.details.causes.map((it: Json) => it.field),
          ['.spec.template.spec.containers[name="web"].image'],
        );
        const emptied = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'parted' } };
        const left = await client.must(client.apply(here, emptied, 'two'));
        assert.deepEqual(
          left.spec.template.spec.containers.map((it: Json) => it.name),
          ['web'],
        );
        const mine = left.metadata.managedFields.find((it: Json) => it.manager === 'one');
        const port = mine.fieldsV1['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"web"}']['f:ports'];
        assert.deepEqual(Object.keys(port), ['k:{"containerPort":80,"protocol":"TCP"}']);
      });

      it('takes YAML, and wants a manager', async () => {
        const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: "1"\n';
        const made = await client.must(client.apply(`${maps}/yaml`, yaml, 'one'));
        assert.equal(made.data.a, '1');
        const { status, body } = await client.call('PATCH', `${maps}/yaml`, yaml, { type: APPLY });
        assert.equal(status >= 400 && status < 500, true);
        assert.match(body.message, /fieldManager/);
        assert.equal((await client.call('PATCH', `${maps}/yaml?force=true`, {}, { type: MERGE })).status, 422);
      });

      it('keeps nothing of a dry run', async () => {
        const here = `${maps}/apply-tried`;
        assert.equal(
          (
            await client.call('PATCH', `${here}?fieldManager=one&dryRun=All`, manifestOf('apply-tried', { a: '1' }), {
              type: APPLY,
            })
          ).status,
          201,
        );
        assert.equal((await client.get(here)).status, 404);
      });
    });

    // Watching

    describe('watches', { concurrency: true }, () => {
      it('tells of changes in order, from a list on', async () => {
        const mine = 'labelSelector=watched%3Din-order';
        const { metadata } = await client.must(client.get(`${maps}?${mine}`));
        const watch = await client.watch(`${maps}?watch=1&${mine}&resourceVersion=${metadata.resourceVersion}`);
        const body = { ...configMapNamed('w1'), metadata: { name: 'w1', labels: { watched: 'in-order' } } };
        const made = await client.must(client.post(maps, body));
        const changed = await client.must(client.patch(`${maps}/w1`, { data: { a: '2' } }));
        await client.must(client.delete(`${maps}/w1`));
        const events = [await watch.next(), await watch.next(), await watch.next()];
        assert.deepEqual(events.map(eventText), ['ADDED w1', 'MODIFIED w1', 'DELETED w1']);
        assert.deepEqual(events[0]!.object, made);
        assert.deepEqual(events[1]!.object, changed);
        assert.equal(events[2]!.object.data.a, '2');
        assert.ok(Number(events[2]!.object.metadata.resourceVersion) > Number(changed.metadata.resourceVersion));
        watch.close();
      });

      it('starts with what there is when no version is named', async () => {
        const labels = { watched: 'from-now' };
        await client.must(client.post(maps, { metadata: { name: 'w2', labels } }));
        const watch = await client.watch(`${maps}?watch=true&labelSelector=watched%3Dfrom-now`);
        assert.equal(eventText(await watch.next()), 'ADDED w2');
        await client.must(client.post(maps, { metadata: { name: 'w3', labels } }));
        assert.equal(eventText(await watch.next()), 'ADDED w3');
        watch.close();
      });

      it('shows an object that starts or ceases to match as added or deleted', async () => {
        const { metadata } = await client.must(client.get(maps));
        const watch = await client.watch(
          `${maps}?watch=1&labelSelector=watched%3Dmoving&resourceVersion=${metadata.resourceVersion}`,
        );
        await client.must(client.post(maps, configMapNamed('w4')));
        await client.must(client.patch(`${maps}/w4`, { metadata: { labels: { watched: 'moving' } } }));
        assert.equal(eventText(await watch.next()), 'ADDED w4');
        await client.must(client.patch(`${maps}/w4`, { metadata: { labels: { watched: null } } }));
        assert.equal(eventText(await watch.next()), 'DELETED w4');
        watch.close();
      });

      it('watches one object by name', async () => {
        await client.must(client.post(maps, configMapNamed('w5')));
        const watch = await client.watch(`${maps}?watch=1&fieldSelector=metadata.name%3Dw5`);
        assert.equal(eventText(await watch.next()), 'ADDED w5');
        await client.must(client.post(maps, configMapNamed('w6')));
        await client.must(client.delete(`${maps}/w5`));
        assert.equal(eventText(await watch.next()), 'DELETED w5');
        watch.close();
      });

      it('ends at its time, with a bookmark before it', async () => {
        const watch = await client.watch(
          `${maps}?watch=1&allowWatchBookmarks=true&timeoutSeconds=4&labelSelector=watched%3Dnobody`,
        );
        const { type, object } = await watch.next();
        assert.equal(type, 'BOOKMARK');
        assert.equal(object.kind, 'ConfigMap');
        assert.ok(Number(object.metadata.resourceVersion) > 0);
        await watch.ended;
      });

      it('sends what there is and then a mark, or refuses to', async () => {
        const path = `${core}/serviceaccounts?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`;
        if (minor < 34) {
          const { status, body } = await client.get(path);
          assert.equal(status, 422);
          assert.equal(body.reason, 'Invalid');
          return;
        }
        const watch = await client.watch(path);
        for (;;) {
          const { type, object } = await watch.next();
          if (type === 'ADDED') continue;
          assert.equal(type, 'BOOKMARK');
          assert.equal(object.metadata.annotations['k8s.io/initial-events-end'], 'true');
          break;
        }
        watch.close();
      });
    });

    // Deletion

    describe('deletion', { concurrency: true }, () => {
      it('answers with a Status, or with the object where it is kept by finalizers', async () => {
        await client.must(client.post(maps, configMapNamed('gone')));
        const { uid } = (await client.must(client.get(`${maps}/gone`))).metadata;
        const gone = await client.delete(`${maps}/gone`);
        assert.deepEqual(gone.body, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Success',
          details: { name: 'gone', kind: 'configmaps', uid },
        });
        assert.equal((await client.delete(`${maps}/gone`)).status, 404);

        await client.must(client.post(maps, { metadata: { name: 'held', finalizers: ['x.example/hold'] } }));
        const held = await client.delete(`${maps}/held`);
        assert.equal(held.status, 200);
        assert.equal(held.body.kind, 'ConfigMap');
        assert.ok(held.body.metadata.deletionTimestamp);
        assert.equal(held.body.metadata.deletionGracePeriodSeconds, 0);
        const again = await client.must(client.delete(`${maps}/held`));
        assert.equal(again.metadata.deletionTimestamp, held.body.metadata.deletionTimestamp);
        const added = await client.patch(`${maps}/held`, {
          metadata: { finalizers: ['x.example/hold', 'x.example/more'] },
        });
        assert.equal(added.status, 422);
        assert.match(added.body.message, /no new finalizers can be added if the object is being deleted/);
        const last = await client.must(client.patch(`${maps}/held`, { metadata: { finalizers: null } }));
        assert.equal(last.metadata.name, 'held');
        assert.equal((await client.get(`${maps}/held`)).status, 404);
      });

      it('holds to its preconditions', async () => {
        const { metadata } = await client.must(client.post(maps, configMapNamed('guarded')));
        const options = (preconditions: Json): Json => ({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions });
        const other = await client.delete(`${maps}/guarded`, options({ uid: 'another' }));
        assert.equal(other.status, 409);
        assert.match(
          other.body.message,
          /^Operation cannot be fulfilled on ConfigMap "guarded": the UID in the precondition \(another\) does not match the UID in record \(.*\)\. The object might have been deleted and then recreated$/,
        );
        assert.equal((await client.delete(`${maps}/guarded`, options({ resourceVersion: '1' }))).status, 409);
        assert.equal(
          (
            await client.delete(
              `${maps}/guarded`,
              options({ uid: metadata.uid, resourceVersion: metadata.resourceVersion }),
            )
          ).status,
          200,
        );
      });

      it('answers with the object where its kind always did', async () => {
        const pod = { metadata: { name: 'shown' }, spec: { containers: [{ name: 'a', image: 'b' }] } };
        await client.must(client.post(`${core}/pods`, pod));
        assert.equal((await client.delete(`${core}/pods/shown`)).body.kind, 'Pod');
        await client.must(
          client.post(`${core}/services`, { metadata: { name: 'shown' }, spec: { ports: [{ port: 1 }] } }),
        );
        assert.equal((await client.delete(`${core}/services/shown`)).body.kind, minor >= 22 ? 'Service' : 'Status');
        await client.must(client.post(`${apps}/deployments`, deploymentNamed('shown')));
        assert.equal((await client.delete(`${apps}/deployments/shown`)).body.kind, 'Status');
      });

      it('collects what lost its owner', async (context) => {
        if (!connection.controllers) return context.skip('no controllers');
        const owner = await client.must(client.post(maps, configMapNamed('owner')));
        const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid };
        await client.must(client.post(maps, { metadata: { name: 'owned', ownerReferences: [reference] } }));
        await client.must(client.delete(`${maps}/owner`, { propagationPolicy: 'Background' }));
        await client.until('the dependent is gone', async () => (await client.get(`${maps}/owned`)).status === 404);
      });

      it('waits for dependents in the foreground', async (context) => {
        if (!connection.controllers) return context.skip('no controllers');
        const owner = await client.must(client.post(maps, configMapNamed('front')));
        const reference = {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          name: 'front',
          uid: owner.metadata.uid,
          blockOwnerDeletion: true,
        };
        await client.must(
          client.post(maps, {
            metadata: { name: 'behind', finalizers: ['x.example/hold'], ownerReferences: [reference] },
          }),
        );
        await sleep(300); // a real collector learns of it by a watch
        const reply = await client.must(client.delete(`${maps}/front`, { propagationPolicy: 'Foreground' }));
        assert.deepEqual(reply.metadata.finalizers, ['foregroundDeletion']);
        await client.until(
          'the dependent is asked to go',
          async () => (await client.get(`${maps}/behind`)).body.metadata.deletionTimestamp !== undefined,
        );
        assert.equal((await client.get(`${maps}/front`)).status, 200);
        await client.must(client.patch(`${maps}/behind`, { metadata: { finalizers: null } }));
        await client.until('the owner is gone', async () => (await client.get(`${maps}/front`)).status === 404);
      });

      it('leaves orphans their life', async (context) => {
        if (!connection.controllers) return context.skip('no controllers');
        const owner = await client.must(client.post(maps, configMapNamed('parent')));
        const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'parent', uid: owner.metadata.uid };
        await client.must(client.post(maps, { metadata: { name: 'orphan', ownerReferences: [reference] } }));
        await sleep(300);
        const reply = await client.must(client.delete(`${maps}/parent`, { propagationPolicy: 'Orphan' }));
        assert.deepEqual(reply.metadata.finalizers, ['orphan']);
        await client.until('the owner is gone', async () => (await client.get(`${maps}/parent`)).status === 404);
        const orphan = await client.must(client.get(`${maps}/orphan`));
        assert.equal(orphan.metadata.ownerReferences, undefined);
      });
    });

    // Namespaces

    describe('namespaces', { concurrency: true }, () => {
      it('starts Active, and refuses new content while it goes', async (context) => {
        const own = `n-${suffix()}`;
        const made = await client.must(client.post('/api/v1/namespaces', { metadata: { name: own } }));
        assert.deepEqual(made.spec, { finalizers: ['kubernetes'] });
        assert.deepEqual(made.status, { phase: 'Active' });
        assert.equal(made.metadata.labels?.['kubernetes.io/metadata.name'], minor >= 21 ? own : undefined);
        const held = `/api/v1/namespaces/${own}/configmaps`;
        await client.must(client.post(held, { metadata: { name: 'held', finalizers: ['x.example/hold'] } }));
        const going = await client.must(client.delete(`/api/v1/namespaces/${own}`));
        assert.equal(going.kind, 'Namespace');
        assert.equal(going.status.phase, 'Terminating');
        assert.ok(going.metadata.deletionTimestamp);
        const refused = await client.post(held, configMapNamed('late'));
        assert.equal(refused.status, 403);
        assert.equal(refused.body.reason, 'Forbidden');
        assert.equal(
          refused.body.message,
          `configmaps "late" is forbidden: unable to create new content in namespace ${own} because it is being terminated`,
        );
        assert.deepEqual(refused.body.details, {
          name: 'late',
          kind: 'configmaps',
          causes: [
            {
              reason: 'NamespaceTerminating',
              message: `namespace ${own} is being terminated`,
              field: 'metadata.namespace',
            },
          ],
        });
        if (!connection.controllers) return context.skip('no controllers');
        await client.until(
          'its content is asked to go',
          async () => (await client.get(`${held}/held`)).body.metadata.deletionTimestamp !== undefined,
        );
        assert.equal((await client.get(`/api/v1/namespaces/${own}`)).status, 200);
        await client.must(client.patch(`${held}/held`, { metadata: { finalizers: null } }));
        await client.until(
          'the namespace is gone',
          async () => (await client.get(`/api/v1/namespaces/${own}`)).status === 404,
          30_000,
        );
      });

      it('gets a default service account', async (context) => {
        if (!connection.controllers) return context.skip('no controllers');
        const own = `n-${suffix()}`;
        await client.must(client.post('/api/v1/namespaces', { metadata: { name: own } }));
        await client.until(
          'it has one',
          async () => (await client.get(`/api/v1/namespaces/${own}/serviceaccounts/default`)).status === 200,
        );
        await client.must(client.delete(`/api/v1/namespaces/${own}`));
      });
    });

    // What servers fill in, count and hold fixed

    describe('built-in kinds', { concurrency: true }, () => {
      it('counts changes of a deployment and of its annotations, not those of its status or labels', async () => {
        const here = `${apps}/deployments/counted`;
        const made = await client.must(
          client.post(`${apps}/deployments`, { ...deploymentNamed('counted'), status: { replicas: 7 } }),
        );
        assert.equal(made.metadata.generation, 1);
        assert.deepEqual(made.status, {});
        assert.equal(
          (await client.must(client.patch(here, { metadata: { labels: { a: 'b' } } }))).metadata.generation,
          1,
        );
        assert.equal((await client.must(client.patch(here, { spec: { replicas: 3 } }))).metadata.generation, 2);
        const status = await client.must(
          client.patch(`${here}/status`, { spec: { replicas: 9 }, status: { observedGeneration: 2, replicas: 3 } }),
        );
        assert.equal(status.metadata.generation, 2);
        assert.equal(status.spec.replicas, 3);
        assert.equal(status.status.replicas, 3);
        const plain = await client.must(client.patch(here, { status: { replicas: 5 } }));
        assert.equal(plain.status.replicas, 3);
        assert.equal(
          (await client.must(client.patch(here, { metadata: { annotations: { a: 'b' } } }))).metadata.generation,
          3,
        );
      });

      it('fills in what a deployment leaves out', async () => {
        const given = deploymentNamed('filled');
        delete given.spec.replicas;
        const { spec } = await client.must(client.post(`${apps}/deployments`, given));
        assert.equal(spec.replicas, 1);
        assert.equal(spec.revisionHistoryLimit, 10);
        assert.equal(spec.progressDeadlineSeconds, 600);
        assert.deepEqual(spec.strategy, {
          type: 'RollingUpdate',
          rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' },
        });
        const { containers, ...pod } = spec.template.spec;
        assert.deepEqual(pod, {
          restartPolicy: 'Always',
          terminationGracePeriodSeconds: 30,
          dnsPolicy: 'ClusterFirst',
          securityContext: {},
          schedulerName: 'default-scheduler',
        });
        assert.deepEqual(containers, [
          {
            name: 'web',
            image: 'nginx:1',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            resources: {},
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            imagePullPolicy: 'IfNotPresent',
          },
        ]);
      });

      it('refuses a deployment whose selector misses its pods, and a selector that changes', async () => {
        const wrong = deploymentNamed('wrong');
        wrong.spec.template.metadata.labels = { app: 'other' };
        const refused = await client.post(`${apps}/deployments`, wrong);
        assert.equal(refused.status, 422);
        assert.deepEqual(
          refused.body.details.causes.map((it: Json) => it.field),
          ['spec.template.metadata.labels'],
        );
        assert.match(
          refused.body.message,
          /^Deployment\.apps "wrong" is invalid: spec\.template\.metadata\.labels: Invalid value: /,
        );
        await client.must(client.post(`${apps}/deployments`, deploymentNamed('fixed')));
        const labels = { app: 'fixed', more: 'yes' };
        const changed = await client.patch(`${apps}/deployments/fixed`, {
          spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } },
        });
        assert.equal(changed.status, 422);
        assert.equal(changed.body.details.causes[0].field, 'spec.selector');
        assert.match(changed.body.details.causes[0].message, /field is immutable/);
      });

      it('scales through the scale of a workload', async () => {
        for (const [resource, object] of [
          ['deployments', deploymentNamed('scaled')],
          ['replicasets', { ...deploymentNamed('scaled'), kind: 'ReplicaSet' }],
          ['statefulsets', { ...deploymentNamed('scaled', { serviceName: 'scaled' }), kind: 'StatefulSet' }],
        ] as const) {
          await client.must(client.post(`${apps}/${resource}`, object));
          const here = `${apps}/${resource}/scaled`;
          const scale = await client.must(client.get(`${here}/scale`));
          assert.equal(scale.kind, 'Scale');
          assert.equal(scale.apiVersion, 'autoscaling/v1');
          assert.equal(scale.spec.replicas, 2);
          assert.equal(scale.status.selector, 'app=scaled');
          const put = await client.must(client.put(`${here}/scale`, { ...scale, spec: { replicas: 5 } }));
          assert.equal(put.spec.replicas, 5);
          const patched = await client.must(client.patch(`${here}/scale`, { spec: { replicas: 0 } }));
          assert.deepEqual(patched.spec, {});
          const object2 = await client.must(client.get(here));
          assert.equal(object2.spec.replicas, 0);
          assert.equal(object2.metadata.generation, 3);
          const stale = await client.put(`${here}/scale`, { ...scale, spec: { replicas: 1 } });
          assert.equal(stale.status, 409);
          assert.equal((await client.patch(`${here}/scale`, { spec: { replicas: -1 } })).status, 422);
        }
      });

      it('gives services addresses and node ports, and holds them', async () => {
        const services = `${core}/services`;
        const made = await client.must(
          client.post(services, {
            metadata: { name: 'front' },
            spec: { type: 'LoadBalancer', ports: [{ port: 80, targetPort: 'http' }] },
          }),
        );
        const [port] = made.spec.ports;
        assert.match(made.spec.clusterIP, /^\d+\.\d+\.\d+\.\d+$/);
        assert.ok(port.nodePort >= 30_000 && port.nodePort <= 32_767);
        assert.equal(port.protocol, 'TCP');
        assert.equal(port.targetPort, 'http');
        assert.equal(made.spec.sessionAffinity, 'None');
        assert.equal(made.spec.externalTrafficPolicy, 'Cluster');
        assert.deepEqual(made.status, { loadBalancer: {} });
        assert.equal(made.metadata.generation, undefined);

        const clash = await client.post(services, {
          metadata: { name: 'clash' },
          spec: { type: 'NodePort', ports: [{ port: 80, nodePort: port.nodePort }] },
        });
        assert.equal(clash.status, 422);
        assert.deepEqual(clash.body.details.causes, [
          {
            reason: 'FieldValueInvalid',
            message: `Invalid value: ${port.nodePort}: provided port is already allocated`,
            field: 'spec.ports[0].nodePort',
          },
        ]);
        assert.equal(
          clash.body.message,
          `Service "clash" is invalid: spec.ports[0].nodePort: Invalid value: ${port.nodePort}: provided port is already allocated`,
        );
        const range = await client.post(services, {
          metadata: { name: 'range' },
          spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] },
        });
        assert.equal(range.status, 422);
        assert.match(range.body.message, /provided port is not in the valid range/);

        const moved = await client.patch(`${services}/front`, {
          spec: { clusterIP: '10.0.0.250', ...(minor >= 20 && { clusterIPs: ['10.0.0.250'] }) },
        });
        assert.equal(moved.status, 422);
        const kept = await client.must(
          client
            .put(`${services}/front`, {
              metadata: { name: 'front' },
              spec: { type: 'LoadBalancer', ports: [{ port: 80, targetPort: 'http' }] },
            })
            .then(versioned(`${services}/front`)),
        );
        assert.equal(kept.spec.clusterIP, made.spec.clusterIP);
        assert.equal(kept.spec.ports[0].nodePort, port.nodePort);
        const inner = await client.must(client.patch(`${services}/front`, { spec: { type: 'ClusterIP' } }));
        assert.equal(inner.spec.ports[0].nodePort, undefined);
        assert.equal(inner.spec.externalTrafficPolicy, undefined);
        const headless = await client.must(
          client.post(services, { metadata: { name: 'headless' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } }),
        );
        assert.equal(headless.spec.clusterIP, 'None');
        assert.equal(headless.spec.ports[0].targetPort, 80);
        const local = await client.must(
          client.post(services, {
            metadata: { name: 'local' },
            spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 80 }] },
          }),
        );
        assert.ok(local.spec.healthCheckNodePort >= 30_000);
      });

      /** Services are not overwritten blindly by older servers: repeats a refused PUT with the version. */
      const versioned =
        (path: string) =>
        async (reply: Reply): Promise<Reply> => {
          if (reply.status !== 422) return reply;
          const { metadata, spec } = await client.must(client.get(path));
          const given = {
            metadata: { name: metadata.name, resourceVersion: metadata.resourceVersion },
            spec: { type: spec.type, clusterIP: spec.clusterIP, ports: [{ port: 80, targetPort: 'http' }] },
          };
          return client.put(path, given);
        };

      it('holds claims and volumes fixed where they are', async () => {
        const claims = `${core}/persistentvolumeclaims`;
        const spec = {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          storageClassName: 'none',
        };
        const made = await client.must(client.post(claims, { metadata: { name: 'disk' }, spec }));
        assert.deepEqual(made.status, { phase: 'Pending' });
        assert.deepEqual(made.metadata.finalizers, ['kubernetes.io/pvc-protection']);
        assert.equal(made.spec.volumeMode, 'Filesystem');
        const changed = await client.patch(`${claims}/disk`, { spec: { storageClassName: 'other' } });
        assert.equal(changed.status, 422);
        assert.match(changed.body.message, /spec: Forbidden: .*is immutable after creation/);

        const volume = `v-${suffix()}`;
        const source = { csi: { driver: 'disk.example', volumeHandle: 'd-1' } };
        const pv = await client.must(
          client.post('/api/v1/persistentvolumes', {
            metadata: { name: volume },
            spec: { ...source, capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'none' },
          }),
        );
        assert.equal(pv.status.phase, 'Pending');
        assert.equal(pv.spec.persistentVolumeReclaimPolicy, 'Retain');
        assert.deepEqual(pv.metadata.finalizers, ['kubernetes.io/pv-protection']);
        const moved = await client.patch(`/api/v1/persistentvolumes/${volume}`, {
          spec: { csi: { volumeHandle: 'd-2' } },
        });
        assert.equal(moved.status, 422);
        assert.match(moved.body.message, /is immutable after creation/);
        const policy = await client.must(
          client.patch(`/api/v1/persistentvolumes/${volume}`, { spec: { persistentVolumeReclaimPolicy: 'Delete' } }),
        );
        assert.equal(policy.spec.persistentVolumeReclaimPolicy, 'Delete');
        await client.must(client.delete(`/api/v1/persistentvolumes/${volume}`));
        await client.must(client.delete(`${claims}/disk`));
        if (!connection.controllers) return;
        await client.until('claim and volume are let go', async () => {
          const replies = await Promise.all([
            client.get(`${claims}/disk`),
            client.get(`/api/v1/persistentvolumes/${volume}`),
          ]);
          return replies.every((it) => it.status === 404);
        });
      });

      it('turns plain secret values into data', async () => {
        const made = await client.must(
          client.post(`${core}/secrets`, { metadata: { name: 'plain' }, stringData: { a: 'b' } }),
        );
        assert.deepEqual(made.data, { a: Buffer.from('b').toString('base64') });
        assert.equal(made.stringData, undefined);
        assert.equal(made.type, 'Opaque');
        const retyped = await client.patch(`${core}/secrets/plain`, { type: 'other' });
        assert.equal(retyped.status, 422);
      });

      it('labels jobs, and asks for a restart policy that ends', async () => {
        const jobs = `/apis/batch/v1/namespaces/${space}/jobs`;
        const spec = (restartPolicy?: string): Json => ({
          template: { spec: { ...(restartPolicy && { restartPolicy }), containers: [{ name: 'a', image: 'b' }] } },
        });
        const made = await client.must(client.post(jobs, { metadata: { name: 'once' }, spec: spec('Never') }));
        const { uid } = made.metadata;
        assert.equal(made.spec.template.metadata.labels['controller-uid'], uid);
        assert.equal(made.spec.template.metadata.labels['job-name'], 'once');
        assert.equal(Object.values(made.spec.selector.matchLabels)[0], uid);
        assert.equal(made.spec.backoffLimit, 6);
        assert.equal((await client.post(jobs, { metadata: { name: 'ever' }, spec: spec() })).status, 422);
        await client.must(client.delete(`${jobs}/once`, { propagationPolicy: 'Background' }));
      });

      it('takes the last run of a cron job by a merge patch of its status, and nothing else with it', async () => {
        const path = `/apis/batch/${minor >= 21 ? 'v1' : 'v1beta1'}/namespaces/${space}/cronjobs`;
        const made = await client.must(
          client.post(path, {
            metadata: { name: 'asleep' },
            spec: {
              schedule: '0 0 1 1 *',
              suspend: true,
              jobTemplate: {
                spec: {
                  template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } },
                },
              },
            },
          }),
        );
        const lastScheduleTime = '2026-01-01T00:00:00Z';
        await client.must(
          client.patch(`${path}/asleep/status?fieldManager=migrate`, {
            spec: { suspend: false },
            status: { lastScheduleTime },
          }),
        );
        const seen = await client.must(client.get(`${path}/asleep`));
        assert.equal(seen.status.lastScheduleTime, lastScheduleTime);
        assert.deepEqual(seen.spec, made.spec);
        await client.must(client.delete(`${path}/asleep`, { propagationPolicy: 'Background' }));
      });

      it('evicts a pod', async () => {
        const pod = { metadata: { name: 'evicted' }, spec: { containers: [{ name: 'a', image: 'b:1' }] } };
        const made = await client.must(client.post(`${core}/pods`, pod));
        assert.equal(made.status.phase, 'Pending');
        assert.equal(made.spec.serviceAccountName, connection.controllers ? made.spec.serviceAccountName : undefined);
        const apiVersion = minor >= 22 ? 'policy/v1' : 'policy/v1beta1';
        const reply = await client.post(`${core}/pods/evicted/eviction`, {
          apiVersion,
          kind: 'Eviction',
          metadata: { name: 'evicted', namespace: space },
        });
        assert.equal(reply.status, 201);
        assert.equal(reply.body.status, 'Success');
        assert.equal((await client.get(`${core}/pods/evicted`)).status, 404);
      });

      it('finds pods by node and phase, and events by what they are about', async () => {
        const pod = (own: string, nodeName?: string): Json => ({
          metadata: { name: own },
          spec: { ...(nodeName && { nodeName }), containers: [{ name: 'a', image: 'b:1' }] },
        });
        await client.must(client.post(`${core}/pods`, pod('placed', 'node-a')));
        await client.must(client.post(`${core}/pods`, pod('free')));
        const found = async (text: string): Promise<string[]> =>
          names(await client.must(client.get(`${core}/pods?fieldSelector=${encodeURIComponent(text)}`)));
        assert.deepEqual(await found('spec.nodeName=node-a'), ['placed']);
        assert.equal((await found('status.phase=Pending')).includes('free'), true);
        assert.deepEqual(await found('spec.nodeName=,metadata.name=free'), ['free']);
        assert.equal((await client.get(`${core}/pods?fieldSelector=spec.color%3Dred`)).status, 400);
        const event = (about: string): Json => ({
          metadata: { name: `event-${about}` },
          involvedObject: { kind: 'Pod', namespace: space, name: about },
          reason: 'Test',
          message: 'seen',
          type: 'Normal',
          source: { component: 'conformance' },
        });
        await client.must(client.post(`${core}/events`, event('free')));
        await client.must(client.post(`${core}/events`, event('placed')));
        const events = await client.must(
          client.get(
            `${core}/events?fieldSelector=${encodeURIComponent('involvedObject.name=free,involvedObject.kind=Pod')}`,
          ),
        );
        assert.deepEqual(names(events), ['event-free']);
        const group = `/apis/events.k8s.io/${minor >= 19 ? 'v1' : 'v1beta1'}/namespaces/${space}/events/event-free`;
        const seen = await client.must(client.get(group));
        assert.equal(seen.regarding.name, 'free');
        assert.equal(seen.note, 'seen');
        await client.call('DELETE', `${core}/pods/placed?gracePeriodSeconds=0`);
        await client.must(client.delete(`${core}/pods/free`));
      });
    });

    // Versions

    describe('versions', { concurrency: true }, () => {
      it('serves an ingress under every version it has, as one object', async () => {
        const v1 = `/apis/networking.k8s.io/v1/namespaces/${space}/ingresses`;
        const rule = {
          host: 'a.example',
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }],
          },
        };
        const made = await client.must(
          client.post(v1, {
            metadata: { name: 'door' },
            spec: { defaultBackend: { service: { name: 'web', port: { name: 'http' } } }, rules: [rule] },
          }),
        );
        for (const group of ['extensions/v1beta1', 'networking.k8s.io/v1beta1']) {
          const reply = await client.get(`/apis/${group}/namespaces/${space}/ingresses/door`);
          if (minor >= 22) {
            assert.equal(reply.status, 404);
            continue;
          }
          assert.equal(reply.status, 200);
          assert.equal(reply.body.apiVersion, group);
          assert.equal(reply.body.metadata.uid, made.metadata.uid);
          assert.equal(reply.body.metadata.resourceVersion, made.metadata.resourceVersion);
          assert.deepEqual(reply.body.spec, {
            backend: { serviceName: 'web', servicePort: 'http' },
            rules: [
              {
                host: 'a.example',
                http: { paths: [{ path: '/', pathType: 'Prefix', backend: { serviceName: 'web', servicePort: 80 } }] },
              },
            ],
          });
        }
        if (minor >= 22) return;
        const old = `/apis/extensions/v1beta1/namespaces/${space}/ingresses`;
        await client.must(
          client.post(old, {
            apiVersion: 'extensions/v1beta1',
            kind: 'Ingress',
            metadata: { name: 'old' },
            spec: { backend: { serviceName: 'web', servicePort: 80 } },
          }),
        );
        const seen = await client.must(client.get(`${v1}/old`));
        assert.deepEqual(seen.spec, { defaultBackend: { service: { name: 'web', port: { number: 80 } } } });
        const patched = await client.must(client.patch(`${old}/old`, { spec: { backend: { servicePort: 81 } } }));
        assert.equal(patched.spec.backend.servicePort, 81);
        assert.equal((await client.must(client.get(`${v1}/old`))).spec.defaultBackend.service.port.number, 81);
      });

      it('refuses an ingress path without a type in v1, and a class given twice', async () => {
        const v1 = `/apis/networking.k8s.io/v1/namespaces/${space}/ingresses`;
        const backend = { service: { name: 'web', port: { number: 80 } } };
        const typeless = await client.post(v1, {
          metadata: { name: 'typeless' },
          spec: { rules: [{ http: { paths: [{ path: '/', backend }] } }] },
        });
        assert.equal(typeless.status, 422);
        assert.equal(typeless.body.details.causes[0].field, 'spec.rules[0].http.paths[0].pathType');
        const twice = (own: string, noted: string): Json => ({
          metadata: { name: own, annotations: { 'kubernetes.io/ingress.class': noted } },
          spec: { ingressClassName: 'a', defaultBackend: backend },
        });
        const other = await client.post(v1, twice('twice', 'b'));
        assert.equal(other.status, 422);
        assert.equal(other.body.details.causes[0].field, 'annotations.kubernetes.io/ingress.class');
        assert.equal((await client.post(v1, twice('same', 'a'))).status, minor < 27 ? 422 : 201);
      });

      it('serves CronJob and PodDisruptionBudget in the versions of its release', async () => {
        const template = {
          spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b:1' }] } } },
        };
        const cron = {
          metadata: { name: 'tick' },
          spec: { schedule: '* * * * *', suspend: true, jobTemplate: template },
        };
        const budget = { metadata: { name: 'none' }, spec: { selector: {}, minAvailable: 1 } };
        const status = async (version: string, resource: string, object: Json): Promise<number> =>
          (await client.post(`/apis/${version}/namespaces/${space}/${resource}`, object)).status;
        assert.equal(await status('batch/v1', 'cronjobs', cron), minor >= 21 ? 201 : 404);
        assert.equal(await status('batch/v1beta1', 'cronjobs', cron), minor < 21 ? 201 : minor < 25 ? 409 : 404);
        assert.equal(await status('policy/v1', 'poddisruptionbudgets', budget), minor >= 21 ? 201 : 404);
        assert.equal(
          await status('policy/v1beta1', 'poddisruptionbudgets', budget),
          minor < 21 ? 201 : minor < 25 ? 409 : 404,
        );
        const version = minor >= 21 ? 'batch/v1' : 'batch/v1beta1';
        const made = await client.must(client.get(`/apis/${version}/namespaces/${space}/cronjobs/tick`));
        assert.equal(made.spec.concurrencyPolicy, 'Allow');
        assert.equal(made.spec.successfulJobsHistoryLimit, 3);
        assert.equal(made.metadata.generation, minor >= 21 ? 1 : made.metadata.generation);
      });

      it('converts autoscalers between their versions', async () => {
        const v1 = `/apis/autoscaling/v1/namespaces/${space}/horizontalpodautoscalers`;
        const spec = {
          maxReplicas: 4,
          targetCPUUtilizationPercentage: 60,
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
        };
        const made = await client.must(client.post(v1, { metadata: { name: 'auto' }, spec }));
        assert.equal(made.spec.minReplicas, 1);
        assert.equal(made.spec.targetCPUUtilizationPercentage, 60);
        const version = minor >= 23 ? 'v2' : 'v2beta2';
        const newer = await client.must(
          client.get(`/apis/autoscaling/${version}/namespaces/${space}/horizontalpodautoscalers/auto`),
        );
        assert.deepEqual(newer.spec.metrics, [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
        ]);
        const other = await client.get(`/apis/autoscaling/v2beta1/namespaces/${space}/horizontalpodautoscalers/auto`);
        if (minor >= 25) assert.equal(other.status, 404);
        else
          assert.deepEqual(other.body.spec.metrics, [
            { type: 'Resource', resource: { name: 'cpu', targetAverageUtilization: 60 } },
          ]);
      });

      it('converts endpoint slices between their versions', async () => {
        const version = minor >= 21 ? 'v1' : 'v1beta1';
        const here = `/apis/discovery.k8s.io/${version}/namespaces/${space}/endpointslices`;
        const endpoint =
          minor >= 21
            ? { addresses: ['10.1.2.3'], nodeName: 'node-a', zone: 'zone-a' }
            : {
                addresses: ['10.1.2.3'],
                topology: { 'kubernetes.io/hostname': 'node-a', 'topology.kubernetes.io/zone': 'zone-a' },
              };
        await client.must(
          client.post(here, {
            metadata: { name: 'slice' },
            addressType: 'IPv4',
            endpoints: [endpoint],
            ports: [{ name: 'http', port: 80 }],
          }),
        );
        const read = await client.must(client.get(`${here}/slice`));
        assert.equal(read.endpoints[0].zone ?? read.endpoints[0].topology['topology.kubernetes.io/zone'], 'zone-a');
        assert.equal(read.metadata.generation, 1);
        assert.equal(
          (
            await client.get(
              `/apis/discovery.k8s.io/${version === 'v1' ? 'v1beta1' : 'v1'}/namespaces/${space}/endpointslices`,
            )
          ).status,
          404,
        );
      });
    });

    // Custom resources

    describe('custom resources', { concurrency: true }, () => {
      const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      const group = `g${suffix()}.example.com`;

      async function define(definition: Json): Promise<void> {
        const made = await client.must(client.post(definitions, definition));
        assert.equal(made.spec.names.singular, made.spec.names.kind.toLowerCase());
        assert.equal(made.spec.names.listKind, `${made.spec.names.kind}List`);
        const { name: own } = definition.metadata;
        await client.until('it is established', async () => {
          const { status } = await client.must(client.get(`${definitions}/${own}`));
          return (status.conditions ?? []).some((it: Json) => it.type === 'Established' && it.status === 'True');
        });
        const { spec } = definition;
        const path = `/apis/${spec.group}/${spec.versions[0].name}/${spec.names.plural}`;
        await client.until('it is served', async () => (await client.get(path)).status === 200);
      }

      it('serves a kind once it is defined, and takes its objects along when it goes', async () => {
        const own = `a${group}`;
        assert.equal((await client.get(`/apis/${own}/v1/backups`)).status, 404);
        const definition = definitionOf(own, 'backups', 'Backup');
        definition.spec.names.shortNames = ['bk'];
        await define(definition);
        const { resources } = await client.must(client.get(`/apis/${own}/v1`));
        const listed = resources.find((it: Json) => it.name === 'backups');
        assert.deepEqual(
          {
            kind: listed.kind,
            namespaced: listed.namespaced,
            shortNames: listed.shortNames,
            singularName: listed.singularName,
          },
          { kind: 'Backup', namespaced: true, shortNames: ['bk'], singularName: 'backup' },
        );
        await client.until('discovery lists its group', async () =>
          (await client.must(client.get('/apis'))).groups.some((it: Json) => it.name === own),
        );

        const here = `/apis/${own}/v1/namespaces/${space}/backups`;
        const object = {
          apiVersion: `${own}/v1`,
          kind: 'Backup',
          metadata: { name: 'b' },
          spec: { a: 1 },
          status: { phase: 'New' },
        };
        const made = await client.must(client.post(here, object));
        assert.equal(made.metadata.generation, 1);
        assert.deepEqual(made.status, { phase: 'New' });
        const status = await client.must(client.patch(`${here}/b`, { status: { phase: 'Done' } }));
        assert.equal(status.metadata.generation, 2);
        const labelled = await client.must(client.patch(`${here}/b`, { metadata: { labels: { a: 'b' } } }));
        assert.equal(labelled.metadata.generation, 2);
        assert.equal((await client.patch(`${here}/b/status`, { status: {} })).status, 404);
        assert.equal((await client.patch(`${here}/b`, {}, STRATEGIC)).status, 415);
        const list = await client.must(client.get(here));
        assert.equal(list.kind, 'BackupList');
        assert.equal(list.items[0].kind, 'Backup');
        const table = await client.must(client.get(here, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }));
        assert.deepEqual(
          table.columnDefinitions.map((it: Json) => it.name),
          ['Name', 'Age'],
        );

        const going = await client.must(client.delete(`${definitions}/backups.${own}`));
        assert.equal(going.kind, 'CustomResourceDefinition');
        await client.until(
          'the definition is gone',
          async () => (await client.get(`${definitions}/backups.${own}`)).status === 404,
        );
        await client.until('the kind is gone', async () => (await client.get(here)).status === 404);
      });

      it('keeps status apart where the definition says so', async () => {
        const own = `b${group}`;
        await define(
          definitionOf(own, 'things', 'Thing', {
            subresources: {
              status: {},
              scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
            },
          }),
        );
        const here = `/apis/${own}/v1/namespaces/${space}/things`;
        const made = await client.must(
          client.post(here, {
            apiVersion: `${own}/v1`,
            kind: 'Thing',
            metadata: { name: 't' },
            spec: { replicas: 1 },
            status: { phase: 'New' },
          }),
        );
        assert.equal(made.status, undefined);
        const status = await client.must(
          client.patch(`${here}/t/status`, {
            metadata: { labels: { no: 'no' } },
            spec: { replicas: 9 },
            status: { phase: 'Done' },
          }),
        );
        assert.deepEqual(status.status, { phase: 'Done' });
        assert.equal(status.spec.replicas, 1);
        assert.equal(status.metadata.labels, undefined);
        assert.equal(status.metadata.generation, 1);
        const spec = await client.must(
          client.patch(`${here}/t`, { spec: { replicas: 2 }, status: { phase: 'Other' } }),
        );
        assert.deepEqual(spec.status, { phase: 'Done' });
        assert.equal(spec.metadata.generation, 2);
        const scaled = await client.must(client.patch(`${here}/t/scale`, { spec: { replicas: 3 } }));
        assert.equal(scaled.spec.replicas, 3);
        assert.equal((await client.must(client.get(`${here}/t`))).spec.replicas, 3);
        const blind = await client.put(`${here}/t`, {
          apiVersion: `${own}/v1`,
          kind: 'Thing',
          metadata: { name: 't' },
          spec: {},
        });
        assert.equal(blind.status, 422);
        assert.match(blind.body.message, /metadata\.resourceVersion: Invalid value: .*must be specified for an update/);
        await client.must(client.delete(`${definitions}/things.${own}`));
      });

      it('serves several versions of one kind', async () => {
        const own = `c${group}`;
        const definition = definitionOf(own, 'parts', 'Part');
        definition.spec.scope = 'Cluster';
        definition.spec.versions.push({ ...definition.spec.versions[0], name: 'v1beta1', storage: false });
        await define(definition);
        await client.must(
          client.post(`/apis/${own}/v1beta1/parts`, {
            apiVersion: `${own}/v1beta1`,
            kind: 'Part',
            metadata: { name: 'p' },
            spec: { a: 1 },
          }),
        );
        const seen = await client.must(client.get(`/apis/${own}/v1/parts/p`));
        assert.equal(seen.apiVersion, `${own}/v1`);
        assert.deepEqual(seen.spec, { a: 1 });
        const found = await client.must(client.get(`/apis/${own}`));
        assert.deepEqual(
          found.versions.map((it: Json) => it.version),
          ['v1', 'v1beta1'],
        );
        assert.equal(found.preferredVersion.version, 'v1');
        await client.must(client.delete(`${definitions}/parts.${own}`));
      });

      it('shows the columns that a definition names', async () => {
        const own = `d${group}`;
        const additionalPrinterColumns = [{ name: 'Phase', type: 'string', jsonPath: '.status.phase' }];
        await define(definitionOf(own, 'rows', 'Row', { additionalPrinterColumns }));
        const here = `/apis/${own}/v1/namespaces/${space}/rows`;
        await client.must(
          client.post(here, {
            apiVersion: `${own}/v1`,
            kind: 'Row',
            metadata: { name: 'r' },
            status: { phase: 'New' },
          }),
        );
        const table = await client.must(client.get(here, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }));
        assert.deepEqual(table.rows[0].cells, ['r', 'New']);
        await client.must(client.delete(`${definitions}/rows.${own}`));
      });

      it('answers a watch from before its memory with an event of 410', async () => {
        const own = `h${group}`;
        await define(definitionOf(own, 'lates', 'Late'));
        const watch = await client.watch(`/apis/${own}/v1/lates?watch=1&resourceVersion=1`);
        const { type, object } = await watch.next();
        assert.equal(type, 'ERROR');
        assert.equal(object.kind, 'Status');
        assert.equal(object.code, 410);
        assert.equal(object.reason, 'Expired');
        assert.match(object.message, /^too old resource version: 1 \(\d+\)$/);
        watch.close();
        await client.must(client.delete(`${definitions}/lates.${own}`));
      });

      it('refuses a definition whose name is not its own, or that has no storage version', async () => {
        const misnamed = definitionOf(`e${group}`, 'xs', 'X');
        misnamed.metadata.name = 'other';
        const first = await client.post(definitions, misnamed);
        assert.equal(first.status, 422);
        assert.match(
          first.body.message,
          /metadata\.name: Invalid value: "other": must be spec\.names\.plural\+"\."\+spec\.group/,
        );
        const stored = definitionOf(`e${group}`, 'xs', 'X');
        stored.spec.versions[0].storage = false;
        assert.equal((await client.post(definitions, stored)).status, 422);
      });

      it('serves v1beta1 definitions where its release does', async () => {
        const own = `f${group}`;
        const spec = {
          group: own,
          version: 'v1',
          scope: 'Namespaced',
          names: { plural: 'olds', kind: 'Old' },
          subresources: { status: {} },
        };
        const reply = await client.post('/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions', {
          apiVersion: 'apiextensions.k8s.io/v1beta1',
          kind: 'CustomResourceDefinition',
          metadata: { name: `olds.${own}` },
          spec,
        });
        assert.equal(reply.status, minor < 22 ? 201 : 404);
        if (minor >= 22) return;
        await client.until('it is served', async () => (await client.get(`/apis/${own}/v1/olds`)).status === 200);
        const newer = await client.must(client.get(`${definitions}/olds.${own}`));
        assert.deepEqual(
          newer.spec.versions.map((it: Json) => [it.name, it.served, it.storage, it.subresources]),
          [['v1', true, true, { status: {} }]],
        );
        await client.must(client.delete(`${definitions}/olds.${own}`));
      });
    });

    // Who may do what

    describe('access', { concurrency: true }, () => {
      it('does not know strangers, and lets anybody ask for the version', async () => {
        const stranger = await client.get('/api/v1/namespaces', { token: 'nobody-knows-this' });
        assert.equal(stranger.status, 401);
        assert.deepEqual(stranger.body, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: 'Unauthorized',
          reason: 'Unauthorized',
          code: 401,
        });
        const nobody = await client.get('/api/v1/services', { token: null });
        assert.equal(nobody.status, 403);
        assert.equal(
          nobody.body.message,
          'services is forbidden: User "system:anonymous" cannot list resource "services" in API group "" at the cluster scope',
        );
        assert.deepEqual(nobody.body.details, { kind: 'services' });
        const named = await client.get('/apis/apps/v1/namespaces/default/deployments/web', { token: null });
        assert.equal(
          named.body.message,
          'deployments.apps "web" is forbidden: User "system:anonymous" cannot get resource "deployments" in API group "apps" in the namespace "default"',
        );
        assert.deepEqual(named.body.details, { name: 'web', group: 'apps', kind: 'deployments' });
        const part = await client.call('PATCH', '/apis/apps/v1/namespaces/default/deployments/web/scale', '{}', {
          token: null,
          type: MERGE,
        });
        assert.match(
          part.body.message,
          /cannot patch resource "deployments\/scale" in API group "apps" in the namespace "default"$/,
        );
        const { body: version } = await client.get('/version', { token: null });
        assert.equal(version.gitVersion, connection.version);
        assert.equal(version.major, '1');
        assert.equal(parseInt(version.minor, 10), minor);
        for (const path of ['/healthz', '/livez', '/readyz'])
          assert.equal((await client.get(path, { token: null })).body, 'ok');
      });

      it('answers what its caller may do', async () => {
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
        const ask = async (resourceAttributes: Json): Promise<Reply> =>
          client.post(path, {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes },
          });
        const reply = await ask({ verb: 'delete', resource: 'nodes' });
        assert.equal(reply.status, 201);
        assert.equal(reply.body.status.allowed, true);
        const rules = await client.must(
          client.post('/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectRulesReview',
            spec: { namespace: space },
          }),
        );
        assert.ok(
          rules.status.resourceRules.some(
            (it: Json) => it.verbs.includes('*') && it.apiGroups.includes('*') && it.resources.includes('*'),
          ),
        );
      });

      it('holds an identity to its rights', async (context) => {
        const token = connection.readerToken;
        if (token === undefined) return context.skip('no second identity');
        assert.equal((await client.get('/api/v1/namespaces/readable/configmaps', { token })).status, 200);
        const elsewhere = await client.get('/api/v1/configmaps', { token });
        assert.equal(elsewhere.status, 403);
        assert.equal(
          elsewhere.body.message,
          'configmaps is forbidden: User "reader" cannot list resource "configmaps" in API group "" at the cluster scope',
        );
        const write = await client.call('POST', '/api/v1/namespaces/readable/configmaps', configMapNamed('x'), {
          token,
        });
        assert.equal(
          write.body.message,
          'configmaps is forbidden: User "reader" cannot create resource "configmaps" in API group "" in the namespace "readable"',
        );
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
        const may = async (resourceAttributes: Json): Promise<boolean> => {
          const body = {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes },
          };
          return (await client.must(client.call('POST', path, body, { token }))).status.allowed;
        };
        assert.equal(await may({ verb: 'list', resource: 'configmaps', namespace: 'readable' }), true);
        assert.equal(await may({ verb: 'list', resource: 'configmaps', namespace: 'default' }), false);
        assert.equal(await may({ verb: 'list', resource: 'configmaps' }), false);
        assert.equal(await may({ verb: 'delete', resource: 'configmaps', namespace: 'readable' }), false);
      });
    });

    // Discovery

    describe('discovery', { concurrency: true }, () => {
      it('lists groups with their versions, the preferred one first', async () => {
        const { kind, groups } = await client.must(client.get('/apis'));
        assert.equal(kind, 'APIGroupList');
        for (const group of groups) assert.deepEqual(group.preferredVersion, group.versions[0], group.name);
        const find = (name: string): Json => groups.find((it: Json) => it.name === name);
        assert.deepEqual(find('apps').versions, [{ groupVersion: 'apps/v1', version: 'v1' }]);
        const versions = (name: string): string[] => find(name)?.versions.map((it: Json) => it.version);
        assert.deepEqual(
          versions('autoscaling'),
          minor >= 26 ? ['v2', 'v1'] : minor < 23 ? ['v1', 'v2beta1', 'v2beta2'] : versions('autoscaling'),
        );
        assert.equal(find('extensions') !== undefined, minor < 22);
        if (minor === 20) assert.deepEqual(versions('batch'), ['v1', 'v1beta1']);
        if (minor === 20) assert.deepEqual(versions('policy'), ['v1beta1']);
        assert.deepEqual((await client.must(client.get('/api'))).versions, ['v1']);
      });

      it('serves a list of every kind that it names', async () => {
        const { groups } = await client.must(client.get('/apis'));
        const own = groups
          .filter((it: Json) => !it.name.includes('example.com'))
          .flatMap((it: Json) => it.versions.map(({ groupVersion }: Json) => `/apis/${groupVersion}`));
        for (const path of ['/api/v1', ...own]) {
          const { kind, resources } = await client.must(client.get(path));
          assert.equal(kind, 'APIResourceList');
          for (const { name: resource, verbs, kind: of, group, version } of resources) {
            if (resource.includes('/') || !verbs.includes('list')) continue;
            assert.equal(group ?? version, undefined);
            const list = await client.must(client.get(`${path}/${resource}?limit=1`));
            assert.equal(list.kind, `${of}List`, `${path}/${resource}`);
          }
        }
      });

      it('names what kubectl users type', async () => {
        const { resources } = await client.must(client.get('/api/v1'));
        const short = Object.fromEntries(resources.map((it: Json) => [it.name, it.shortNames]));
        assert.deepEqual(
          ['pods', 'services', 'configmaps', 'persistentvolumeclaims', 'nodes'].map((it) => short[it]),
          [['po'], ['svc'], ['cm'], ['pvc'], ['no']],
        );
        const scale = (await client.must(client.get('/apis/apps/v1'))).resources.find(
          (it: Json) => it.name === 'deployments/scale',
        );
        assert.deepEqual([scale.group, scale.version, scale.kind], ['autoscaling', 'v1', 'Scale']);
        assert.deepEqual(resources.find((it: Json) => it.name === 'pods').categories, ['all']);
      });

      it('knows no other paths', async () => {
        assert.equal((await client.get('/api/v1/unicorns')).status, 404);
        assert.equal((await client.get('/apis/unicorns.example/v1/horns')).status, 404);
        assert.equal((await client.get('/apis/apps/v7/deployments')).status, 404);
        const part = await client.get(`${maps}/x/scale`);
        assert.equal(part.status, 404);
      });
    });
  });
}
