import type { Listener } from '../state.js';

export interface Field {
  /** as on the wire */
  name: string;
  kind: 'number' | 'boolean' | 'on/off' | 'text';
  /** what a listener has that was created without it */
  value?: string | number | boolean;
  min?: number;
  max?: number;
}

const number = (name: string, value?: number, min?: number, max?: number): Field => ({
  name,
  kind: 'number',
  ...(value === undefined ? {} : { value }),
  ...(min === undefined ? {} : { min }),
  ...(max === undefined ? {} : { max }),
});
const onOff = (name: string, value: 'on' | 'off'): Field => ({ name, kind: 'on/off', value });
const text = (name: string, value?: string): Field => ({
  name,
  kind: 'text',
  ...(value === undefined ? {} : { value }),
});

const DRAIN = [onOff('ConnectionDrain', 'off'), number('ConnectionDrainTimeout', 0, 0, 900)];
const THRESHOLDS = [
  number('HealthyThreshold', 3, 2, 10),
  number('UnhealthyThreshold', 3, 2, 10),
  number('HealthCheckConnectPort', undefined, -520, 65_535),
];

const TCP: Field[] = [
  number('PersistenceTimeout', 0, 0, 3600),
  number('EstablishedTimeout', 900, 10, 900),
  ...DRAIN,
  onOff('HealthCheck', 'on'),
  text('HealthCheckType', 'tcp'),
  number('HealthCheckConnectTimeout', 5, 1, 300),
  number('HealthCheckInterval', 2, 1, 50),
  ...THRESHOLDS,
  text('HealthCheckDomain'),
  text('HealthCheckURI'),
  text('HealthCheckHttpCode'),
  text('HealthCheckMethod'),
  text('MasterSlaveServerGroupId'),
  { name: 'ProxyProtocolV2Enabled', kind: 'boolean', value: false },
];

const UDP: Field[] = [
  ...DRAIN,
  onOff('HealthCheck', 'on'),
  number('HealthCheckConnectTimeout', 10, 1, 300),
  number('HealthCheckInterval', 5, 1, 50),
  ...THRESHOLDS,
  text('HealthCheckReq'),
  text('HealthCheckExp'),
  text('MasterSlaveServerGroupId'),
  { name: 'ProxyProtocolV2Enabled', kind: 'boolean', value: false },
];

const L7: Field[] = [
  onOff('StickySession', 'off'),
  text('StickySessionType'),
  number('CookieTimeout', undefined, 1, 86_400),
  text('Cookie'),
  onOff('HealthCheck', 'off'),
  text('HealthCheckType', 'http'),
  text('HealthCheckDomain'),
  text('HealthCheckURI'),
  text('HealthCheckHttpCode'),
  text('HealthCheckMethod'),
  number('HealthCheckTimeout', 5, 1, 300),
  number('HealthCheckInterval', 2, 1, 50),
  ...THRESHOLDS,
  onOff('XForwardedFor', 'on'),
  onOff('XForwardedFor_SLBIP', 'off'),
  onOff('XForwardedFor_SLBID', 'off'),
  onOff('XForwardedFor_proto', 'off'),
  onOff('XForwardedFor_SLBPORT', 'off'),
  onOff('XForwardedFor_ClientSrcPort', 'off'),
  onOff('Gzip', 'on'),
  number('IdleTimeout', 15, 1, 60),
  number('RequestTimeout', 60, 1, 180),
];

/**
 * The fields of each protocol, with the documented defaults.
 *
 * @source Slb 2014-05-15, CreateLoadBalancer{TCP,UDP,HTTP,HTTPS}Listener;
 *   aliyun/alibaba-cloud-sdk-go:services/slb/struct_{tcp,udp,http,https}_listener_config.go
 */
export const FIELDS: Record<Listener['protocol'], readonly Field[]> = {
  tcp: TCP,
  udp: UDP,
  http: [...L7, onOff('ListenerForward', 'off'), number('ForwardPort', undefined, 1, 65_535), number('ForwardCode')],
  https: [
    ...L7,
    text('ServerCertificateId'),
    text('CACertificateId'),
    onOff('EnableHttp2', 'on'),
    text('TLSCipherPolicy', 'tls_cipher_policy_1_0'),
  ],
};

/** How the protocol is written in action names and in `…ListenerConfig`. */
export const PREFIXES: Record<Listener['protocol'], string> = { tcp: 'TCP', udp: 'UDP', http: 'HTTP', https: 'HTTPS' };
