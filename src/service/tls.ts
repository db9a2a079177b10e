/** The certificate of native HTTPS: read and checked as a whole, so that a half-renewed pair is never put to use. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { reasonOf } from '../core/files.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** PEM, the certificate with its chain, and until when it is good. */
export type TlsPair = Awaited<ReturnType<typeof readTlsPair>>;

const MAX_FILE_BYTES = 1_048_576;

/** Reads certificate and key. @throws Error that says which file cannot be used and why; never with their content. */
export async function readTlsPair({ certFile, keyFile }: TlsFiles) {
  const [cert, key] = await Promise.all([readBounded('TLS_CERT_FILE', certFile), readBounded('TLS_KEY_FILE', keyFile)]);
  const certificate = parse('TLS_CERT_FILE', 'is no certificate in PEM', () => new X509Certificate(cert));
  const privateKey = parse('TLS_KEY_FILE', 'is no private key in PEM without a passphrase', () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error('the key in TLS_KEY_FILE does not belong to the certificate in TLS_CERT_FILE');
  }
  return { cert, key, expiresAt: new Date(certificate.validTo) };
}

async function readBounded(name: string, path: string): Promise<string> {
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`${name}: the file ${path} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

/** The errors of the parsers are left out: some of them repeat what they could not read. */
function parse<T>(name: string, problem: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new Error(`${name}: the file ${problem}`);
  }
}
