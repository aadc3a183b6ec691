/**
 * The questions that a move from an older cluster to a newer one raises, by the names under which preparation for it is
 * commonly listed, each with the checks that look at it. `test/catalogue.test.ts` holds the two lists together.
 */
export const CATALOGUE: Record<string, readonly string[]> = {
  // access and versions
  'acc-reachable': ['versions', 'rights'],
  'acc-distinct': ['distinct-clusters'],
  'acc-permissions': ['rights'],
  'acc-clock': ['clocks'],
  'ver-skew': ['versions'],
  'ver-known': ['versions'],
  'ver-deprecated-calls': ['client-calls'],
  // API objects
  'api-gap': ['removed-apis'],
  'api-manifest': ['removed-apis', 'helm-releases', 'manifest-files'],
  'api-backup-version': ['backup-versions'],
  'api-admission-dryrun': ['dry-run'],
  'api-strict-fields': ['dry-run'],
  'api-ip-strict': ['strict-addresses'],
  'crd-missing': ['removed-apis', 'definitions'],
  'crd-stored': ['definitions'],
  'crd-operator-older': ['operators'],
  'apiservice-unavailable': ['api-services'],
  'webhook-unreachable': ['webhooks'],
  'webhook-mutation-drift': ['mutations'],
  'psp-to-psa': ['pod-security'],
  'admission-policy': ['policies'],
  'admission-plugins': ['plugins'],
  // scheduling and capacity
  'label-unmatched': ['node-labels'],
  'label-deprecated': ['removed-labels'],
  'taint-untolerated': ['taints', 'removed-labels'],
  'cap-requests': ['room'],
  'cap-max-pods': ['room'],
  'cap-quota': ['quotas'],
  'cap-surge': ['autoscaling', 'room'],
  'prio-missing': ['priority-classes'],
  'runtimeclass-missing': ['runtime-classes'],
  'pdb-blocking': ['disruption-budgets'],
  'hpa-metrics': ['autoscaling'],
  'spread-single-zone': ['spread'],
  'arch-mismatch': ['architectures'],
  // runtime and nodes
  'rt-docker-sock': ['docker-socket'],
  'rt-cgroupv2': ['cgroups'],
  'rt-seccomp-default': ['kubelets'],
  'rt-sysctl': ['kubelets', 'pod-security'],
  'rt-image-gc-arch-kernel': ['kernels'],
  'rt-hostpath': ['node-directories', 'disk-kinds'],
  'rt-hostport': ['host-ports'],
  'rt-gpu': ['extended-resources'],
  // storage
  'sto-class-missing': ['storage-classes', 'access-modes'],
  'sto-driver': ['volume-drivers', 'disk-kinds'],
  'sto-zone': ['zone-of-disks', 'node-labels'],
  'sto-reclaim': ['shared-volumes'],
  'sto-shared-rwo': ['shared-volumes'],
  'sto-snapshot-crd': ['snapshots', 'removed-apis'],
  'sto-access-mode': ['access-modes'],
  'sto-nas-endpoint': ['share-addresses'],
  // network and Services
  'svc-nodeport-clash': ['cluster-addresses'],
  'svc-clusterip-fixed': ['cluster-addresses'],
  'svc-cidr-overlap': ['overlapping-networks'],
  'svc-lb-reuse': ['service-annotations', 'shared-group'],
  'svc-lb-region': ['shared-group'],
  'svc-lb-quota': ['shared-group'],
  'slb-weight-granularity': ['shares'],
  'svc-scheduler-rr': ['listener-scheduler'],
  'svc-local-singlepod': ['local-policy', 'pod-readiness'],
  'svc-kubeproxy-diff': [
    'kube-proxy-mode',
    'in-cluster-callers',
    'local-policy',
    'proxy-settings',
    'service-fields',
    'traffic-matrix',
  ],
  'svc-endpoints-manual': ['manual-endpoints'],
  'ing-class': ['ingress-classes', 'outside-controllers'],
  'ing-annotations': ['ingress-classes'],
  'tls-expiry': ['certificates', 'webhooks'],
  'np-unsupported': ['network-policies'],
  'np-ipblock': ['network-policies'],
  'np-namespace-labels': ['network-policies'],
  'ip-allowlist': ['allow-lists'],
  'vswitch-ips': ['vswitches'],
  'sg-rules': ['security-groups'],
  mtu: ['packet-sizes'],
  'dns-domain': ['name-server'],
  'dns-custom': ['name-server'],
  'dns-ndots': ['name-server'],
  mesh: ['mesh'],
  // identity and secrets
  'rbac-dangling': ['role-bindings'],
  'sa-token-secret': ['token-secrets'],
  'sa-token-bound': ['bound-tokens'],
  'sa-legacy-cleanup': ['token-secrets'],
  'secret-encryption': ['secret-sources'],
  // images
  'pull-secret': ['pull-secrets'],
  'image-reachable': ['image-hosts'],
  'image-mutable-tag': ['image-tags'],
  'image-schema1': ['image-manifests'],
  // double-running and state
  'dup-cronjob': ['cron-jobs'],
  'dup-singleton': ['singletons'],
  'dup-consumer': ['singletons'],
  'dup-controller': ['outside-controllers', 'gitops-owner'],
  'dup-job': ['unfinished-jobs'],
  'state-quorum': ['quorums'],
  'state-session': ['stickiness'],
  'fin-stuck': ['stuck-objects'],
  'owner-refs': ['left-behind'],
  'gitops-fight': ['gitops-owner'],
  'tz-locale': ['cron-jobs'],
  'health-baseline': ['unhealthy-before'],
  'probe-missing': ['pod-readiness'],
  // tools
  'velero-ready': ['velero'],
  'lb-ccm-version': ['cloud-controllers'],
  'metrics-gate': ['gates'],
};

/** Questions that no check looks at: what would have to be read for them. */
export const OPEN: Record<string, string> = {};

/** Answered in part: what the check of it sees, and what only something else would tell. */
export const IN_PART: Record<string, string> = {
  'vswitch-ips': 'zones without a vSwitch are found; how many addresses are free only the cloud says',
  'image-reachable': 'addresses that cannot be reached are known by name; whether a pull succeeds only a pull tells',
  'rt-seccomp-default': 'settings of kubelets are read where kubeadm keeps them; elsewhere they are on the nodes',
  'sg-rules':
    'rules are read of the groups that Terway’s settings name; rules by prefix or port lists, and what a security group does to a kind of load balancer, are not',
  'image-schema1': 'runtimes that refuse such manifests are found; which images have one only their registries tell',
  mtu: 'sizes set by hand are found; what gets through only a packet tells',
  'acc-clock': 'nodes report every five minutes: a clock that lags by less than ten is not found',
};

/**
 * The ways in which one kube-proxy differs from another, and the check that sees each; none where only a probe from several
 * places would.
 *
 * @source kubernetes/kubernetes:pkg/proxy, release by release
 */
export const PROXY_DIFFERENCES: Record<string, string | undefined> = {
  'kp-lb-ip-shortcircuit': 'in-cluster-callers',
  'kp-etp-local-incluster': 'local-policy',
  'kp-etp-local-external-nolocal': 'local-policy',
  'kp-terminating-endpoints': 'local-policy',
  'kp-internal-traffic-policy': 'service-fields',
  'kp-ipvs-graceful-termination': undefined,
  'kp-ipvs-conn-reuse': 'kube-proxy-mode',
  'kp-session-affinity': 'stickiness',
  'kp-nodeport-bind': 'kube-proxy-mode',
  'kp-ipvs-host-ports-exposed': 'kube-proxy-mode',
  'kp-source-ip': 'allow-lists',
  'kp-cluster-cidr': 'proxy-settings',
  'kp-lb-algorithm': 'proxy-settings',
  'kp-udp-conntrack': 'service-fields',
  'kp-sctp': 'service-fields',
  'kp-dual-stack': 'service-fields',
  'kp-min-sync': undefined,
  'kp-conntrack-settings': 'proxy-settings',
  'kp-healthchecknodeport': undefined,
  'kp-topology': 'service-fields',
  'kp-external-ips': 'service-fields',
  'kp-nft-firewall': 'kernels',
  'kp-endpoints-1000': 'service-fields',
  'kp-mtu': 'packet-sizes',
  'kp-cilium': undefined,
};
