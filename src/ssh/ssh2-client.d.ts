declare module 'ssh2/lib/client.js' {
  import { Client } from 'ssh2';
  export default Client;
}
