import type { Databases } from '../standing.js';
import { mysqlPair } from './mysql.js';
import type { DatabaseOptions } from './wire.js';

/** Opens databases by what the playbook says of them. The clients of a kind load with the first of that kind. */
export const openDatabases = (options: DatabaseOptions): Databases => ({
  pair(database) {
    switch (database.kind) {
      case 'mysql':
      case 'mariadb':
        return mysqlPair(database, options);
      default:
        throw new Error(`no ${database.kind} yet`);
    }
  },
  etcd() {
    throw new Error('no etcd yet');
  },
});
