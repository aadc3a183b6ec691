import { ownPrograms } from '../program.js';
import type { Databases } from '../standing.js';
import { etcdCluster } from './etcd.js';
import { execPair } from './exec.js';
import { mysqlPair } from './mysql.js';
import { postgresPair } from './postgres.js';
import { redisPair } from './redis.js';
import type { DatabaseOptions } from './wire.js';

/** Opens databases by what the playbook says of them. The client of a kind loads with the first connection of that kind. */
export function openDatabases(given: Omit<DatabaseOptions, 'programs'> & Partial<DatabaseOptions>): Databases {
  const options = { programs: ownPrograms, ...given };
  return {
    async pair(database) {
      switch (database.kind) {
        case 'mysql':
        case 'mariadb':
          return mysqlPair(database, options);
        case 'postgres':
          return postgresPair(database, options);
        case 'redis':
          return redisPair(database, options);
        case 'exec':
          return execPair(database, options);
        default:
          database satisfies never;
          throw new Error('that kind is no pair');
      }
    },
    etcd: (database) => etcdCluster(database, options),
  };
}
