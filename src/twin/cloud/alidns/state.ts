/** A domain whose authority is Alibaba Cloud DNS. */
export interface Domain {
  name: string;
  edition: Edition;
}

/**
 * What an edition allows. Weighted records of one name, type and line: 10 in the free edition, 90 in those that are paid for.
 * @source https://www.alibabacloud.com/help/en/dns/pubz-weight-configuration; aliyun/terraform-provider-alicloud:website/docs/r/alidns_record.html.markdown (TTL)
 */
export const EDITIONS = {
  mianfei: { minTtlS: 600, recordsPerSet: 10 },
  version_personal: { minTtlS: 120, recordsPerSet: 90 },
  version_enterprise_basic: { minTtlS: 60, recordsPerSet: 90 },
  version_enterprise_advanced: { minTtlS: 1, recordsPerSet: 90 },
} as const;
export type Edition = keyof typeof EDITIONS;

export const MAX_TTL_S = 86_400;

export interface DnsRecord {
  id: string;
  domain: string;
  /** host part; `@` for the domain itself */
  rr: string;
  type: string;
  value: string;
  ttlS: number;
  line: string;
  status: 'ENABLE' | 'DISABLE';
  locked: boolean;
  /** counts where weighting is on for its name, type and line */
  weight: number;
  priority: number | undefined;
}

export const WEIGHTED_TYPES: readonly string[] = ['A', 'AAAA', 'CNAME'];

export interface DnsState {
  readonly domains: Map<string, Domain>;
  readonly records: Map<string, DnsRecord>;
  /** sets of records that are answered by weight; see `setKey` */
  readonly weighted: Set<string>;
}

export const emptyDns = (): DnsState => ({ domains: new Map(), records: new Map(), weighted: new Set() });

export const fullName = ({ rr, domain }: { rr: string; domain: string }): string =>
  rr === '@' ? domain : `${rr}.${domain}`;

/** Records of one name, type and line are weighed against each other. */
export const setKey = (it: { rr: string; domain: string; type: string; line: string }): string =>
  [fullName(it), it.type, it.line].join('|');

export const setOf = (state: DnsState, it: { rr: string; domain: string; type: string; line: string }): DnsRecord[] =>
  [...state.records.values()].filter((other) => setKey(other) === setKey(it));

/** Ids are numbers of 18 digits, as the real ones look. */
export const digitsOf = (id: string): string =>
  `9${id
    .replace(/[^0-9a-z]/g, '')
    .replace(/[a-z]/g, (it) => String(it.charCodeAt(0) % 10))
    .slice(-17)}`;
