import type { CloudError, Json } from '../types.js';

/** An action that the cloud refuses: HTTP status, the gateway's or the product's code, and its text. */
export class CloudRefusal extends Error implements CloudError {
  override readonly name = 'CloudRefusal';
  readonly status: number;
  readonly code: string;
  /** further members of the error body, e.g. AccessDeniedDetail */
  readonly detail: Record<string, Json>;

  constructor(status: number, code: string, message: string, detail: Record<string, Json> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

export function refuse(status: number, code: string, message: string): never {
  throw new CloudRefusal(status, code, message);
}
