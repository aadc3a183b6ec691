import { Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * A certificate that ends during the move, or is not for the name that the Ingress serves, is found out by the users. Of its
 * Secret only the public part is looked at: until when it holds and for which names.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/ingress/#tls
 */
export const certificates: Check = {
  id: 'certificates',
  group: 'network',
  asks: 'Do the certificates that move hold long enough, and for the names that they serve?',
  before: 'traffic',
  severity: 'warn',
  when: ['data'],
  reads: {
    source: ['Secret', 'Ingress.networking.k8s.io', 'Certificate.cert-manager.io'],
    target: ['Certificate.cert-manager.io'],
  },
  takes: { Secret: 'each', 'Ingress.networking.k8s.io': ['spec.tls'] },
  hint: {
    why: 'An expired certificate, or one for another name, turns every visitor away, on both sides alike.',
    fix: 'Renew it before the move; let one cert-manager alone renew it while both run.',
  },
  zh: {
    asks: '要迁移的证书有效期是否足够，域名是否匹配？',
    why: '证书过期或域名不符时，所有访问都会失败，两个集群都一样。',
    fix: '迁移前先续期；两个集群同时运行期间，只让一侧的 cert-manager 负责续期。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/services-networking/ingress/#tls',
    'https://letsencrypt.org/docs/rate-limits/',
  ],

  look: (sight) => [
    ...sight.source
      .list('Secret', sight.namespaces)
      .filter((it) => it['type'] === 'kubernetes.io/tls')
      .flatMap((it) => ofSecret(it, sight)),
    ...issuedTwice(sight),
  ],
};

const LEAST_DAYS = 30;

interface Seen {
  notAfter: string;
  names: string[];
}

function ofSecret(secret: KubeObject, sight: Sight): Finding[] {
  const seen = secret['certificate'] as Seen | undefined;
  if (!seen)
    return [{ about: about(secret), saw: 'its certificate could not be read', want: 'a certificate in tls.crt' }];
  const days = Math.floor((Date.parse(seen.notAfter) - Date.parse(sight.today)) / 86_400_000);
  if (Number.isNaN(days)) throw new Unknown(`${about(secret)}: "${seen.notAfter}" is no date`);
  const found: Finding[] = [];
  if (days < LEAST_DAYS)
    found.push({
      about: about(secret),
      saw:
        days < 0
          ? `it ended on ${seen.notAfter.slice(0, 10)}`
          : `it ends on ${seen.notAfter.slice(0, 10)}, in ${days} days`,
      want: `${LEAST_DAYS} days or more`,
    });
  const lost = hostsOf(secret, sight).filter((host) => !seen.names.some((name) => covers(name, host)));
  if (lost.length > 0)
    found.push({
      about: about(secret),
      saw: `it is for ${some(seen.names)}`,
      want: some(lost),
      breaks: 'visitors of these names',
    });
  return found;
}

const hostsOf = (secret: KubeObject, { source }: Sight): string[] =>
  source
    .list('Ingress.networking.k8s.io', [secret.metadata.namespace ?? ''])
    .flatMap((it) =>
      ((it['spec']?.tls ?? []) as { secretName?: string; hosts?: string[] }[]).filter(
        (one) => one.secretName === secret.metadata.name,
      ),
    )
    .flatMap((it) => it.hosts ?? []);

/** `*.example.com` is for one label more, and no other. */
const covers = (name: string, host: string) =>
  name === host || (name.startsWith('*.') && host.split('.').slice(1).join('.') === name.slice(2));

function issuedTwice({ source, target, namespaces }: Sight): Finding[] {
  const there = new Set(
    target.list('Certificate.cert-manager.io', namespaces).map((it) => `${it.metadata.namespace}/${it.metadata.name}`),
  );
  return source
    .list('Certificate.cert-manager.io', namespaces)
    .filter((it) => there.has(`${it.metadata.namespace}/${it.metadata.name}`))
    .map((it) => ({
      about: about(it),
      saw: 'cert-manager has it to renew on both sides',
      want: 'one side to renew it',
      breaks: 'limits of the issuer, and challenges that the other side answers',
    }));
}
