import { MigrateError } from '../errors.js';
import type { Call, Clock, Tap } from '../ports.js';
import { spell } from '../words.js';
import { ecsRefusals } from './ecs-refusals.js';
import type { Pace } from './pace.js';

/**
 * Vendor errors, classified by code, never by message.
 * @source Alibaba's error pages for SLB 2014-05-15, ECS 2014-05-26 and Alidns 2015-01-09; aliyun/terraform-provider-alicloud:alicloud/errors.go
 */
const BUSY = new Set([
  'ServiceIsConfiguring',
  'Conflict.Lock',
  'IncorrectStatus.serverGroup',
  'IncorrectStatus.listener',
  'IncorrectStatus.loadBalancer',
  'OperationFailed.ResourceIsConfiguring',
  'VServerGroupProcessing',
  'OperationBusy',
  'ProcessingSameRequest',
  'BackendServer.configuring',
  'ServiceIsStopping',
  'SystemBusy',
  'OperationFailed.ListenerStatusNotSupport',
  'OperationFailed.TokenIsProcessing',
  'InternalError',
  'ServiceUnavailable',
  'UnknownError',
  'LastTokenProcessing',
  'IdempotentProcessing',
  'OperationConflict',
  'IncorrectDiskStatus',
  'IncorrectDiskStatus.Initializing',
  'IncorrectInstanceStatus',
  'InvalidOperation.Conflict',
  'InvalidSnapshotId.NotReady',
  'LastOperationNotFinished',
  'RecordForbidden.DNSChange',
]);

/**
 * Something else of the disk or the account must end first, which may take hours: told at once, for whoever asked knows how to wait.
 * @source www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createsnapshot, -copysnapshot
 */
const OCCUPIED = new Set([
  'IncorrectDiskStatus.CreatingSnapshot',
  'InvalidOperation.UnfinishedCrossRegionCopy',
  'InvalidOperation.UnfinishedEncryptedSnapshotCopy',
  'InvalidOperation.DiskHasUnfinishedSnapshotCopy',
  'QuotaExceed.ConcurrentSnapshotQuota',
]);

/** Longest that a busy, throttled or silent cloud is waited for. ServiceUnavailable is also its word for lasting faults. */
const PATIENCE_MS = 300_000;

interface Thrown {
  code?: string;
  name?: string;
  statusCode?: number;
  message?: string;
  retryAfter?: number;
}

/**
 * Every call to the cloud: in its turn, counted, repeated while it is busy or throttled, and its errors made ours. Each of our writes can be
 * repeated.
 */
export async function callCloud<T>(
  call: Call,
  options: { tap: Tap; clock: Clock; pace?: Pace },
  send: () => Promise<T>,
): Promise<T> {
  const began = options.clock.now();
  for (let attempt = 0; ; attempt++) {
    try {
      await options.pace?.turn(call.verb);
      return await options.tap(call, send);
    } catch (error) {
      if (error instanceof MigrateError) throw error;
      const told = classify(call, error as Thrown);
      if (!told) throw error;
      if (!told.retryable || options.clock.now() - began >= PATIENCE_MS) throw told;
      const asked = (error as Thrown).retryAfter;
      const pauseMs =
        typeof asked === 'number' && asked > 0
          ? Math.min(asked, 30_000)
          : Math.min(500 * 2 ** Math.min(attempt, 5), 10_000);
      if (told.code === 'CLOUD_THROTTLED') options.pace?.refused(call.verb, pauseMs);
      await options.clock.sleep(pauseMs);
    }
  }
}

/** undefined: not the cloud's but a bug of ours */
function classify(call: Call, { code = '', name = '', statusCode, message = '' }: Thrown): MigrateError | undefined {
  const what = `${call.verb} ${call.what}`.trim();
  if (
    name === 'CredentialsProviderError' ||
    code === 'InvalidCredentials' ||
    /InvalidAccessKeyId|SignatureDoesNotMatch|IncompleteSignature|InvalidSecurityToken|SecurityTokenExpired|MissingAccessKeyId/.test(
      code,
    )
  ) {
    return new MigrateError('CLOUD_CREDENTIALS', {
      what: `${what}: the cloud does not accept the credentials (${code || name}).`,
      why: 'Access key, secret or token are wrong, expired or not there.',
      fix: 'Set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or log in with the aliyun CLI.',
    });
  }
  if (code.startsWith('Throttling')) {
    return new MigrateError('CLOUD_THROTTLED', {
      what: `${what}: throttled for ${spell(PATIENCE_MS)} (${code}).`,
      why: 'Too many calls of this account, ours or others.',
      fix: 'Run again later; it goes on where it stopped.',
      retryable: true,
    });
  }
  if (BUSY.has(code)) {
    return new MigrateError('CLOUD_BUSY', {
      what: `${what}: busy for ${spell(PATIENCE_MS)} (${code}).`,
      why: 'Another change of the same thing is under way, or the service is down.',
      fix: 'Run again later; it goes on where it stopped.',
      retryable: true,
    });
  }
  if (OCCUPIED.has(code)) {
    return new MigrateError('CLOUD_OCCUPIED', {
      what: `${what}: not yet (${code}).`,
      why: 'Another snapshot or copy of the disk is under way, or as many as the account may have at once.',
      fix: 'See in the console what is under way; run again when it is done.',
    });
  }
  const known = ecsRefusals.find((it) => it.codes.test(code));
  if (known) return new MigrateError('CLOUD_REFUSED', { what: `${what}: refused (${code}).`, ...known.told });
  if (statusCode === 403 || /^(Forbidden|NoPermission)/.test(code)) {
    return new MigrateError('CLOUD_FORBIDDEN', {
      what: `${what}: not allowed (${code}).`,
      why: 'The RAM identity lacks that action on that resource.',
      fix: 'Grant it; `migrate explain CLOUD_FORBIDDEN` lists the actions that a move needs.',
    });
  }
  if (code !== '' && statusCode !== undefined && statusCode < 500) {
    return new MigrateError('CLOUD_REFUSED', {
      what: `${what}: refused (${code}).`,
      why: vendorWords(message, code),
      fix: "Look the code up in the vendor's error pages.",
    });
  }
  // A reply that never came, or one that is no JSON: whether it was done is not known, and each of our calls can be sent again.
  if (
    name === 'RequestTimeoutError' ||
    name === 'SyntaxError' ||
    /^(ECONN|ETIMEDOUT|ENOTFOUND|EPIPE|EAI_AGAIN|UND_ERR)/.test(code) ||
    (statusCode ?? 0) >= 500 ||
    /timeout|socket hang up|ECONN/i.test(message)
  ) {
    return new MigrateError('CLOUD_UNREACHABLE', {
      what: `${what}: the cloud does not answer (${code || name || statusCode}).`,
      why: 'Network, proxy or firewall are in between, or the service is down.',
      fix: 'Check the way to the endpoint, then run again.',
      retryable: true,
      unsure: call.writes,
    });
  }
  return undefined;
}

/** The vendor's message is the part between its own code and request id. */
const vendorWords = (message: string, code: string) =>
  message
    .replace(new RegExp(`^${code.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}: code: \\d+, `), '')
    .replace(/ request id: .*$/s, '')
    .slice(0, 300);
