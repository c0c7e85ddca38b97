// npm jose, and npm web-push with its http_ece: one task for each line of input: {task, …} in, {…} or {error} out.
import { createECDH } from 'node:crypto';
import { createInterface } from 'node:readline';
import { CompactEncrypt, compactDecrypt } from 'jose';
import webPush from 'web-push';
import ece from 'http_ece';

const bytes = (text) => Buffer.from(text, 'base64url');

const tasks = {
  async jweDecrypt({ token, key }) {
    const { plaintext, protectedHeader } = await compactDecrypt(token, bytes(key));
    return { payload: Buffer.from(plaintext).toString('base64url'), header: protectedHeader };
  },
  async jweEncrypt({ payload, key }) {
    const header = { alg: 'dir', enc: 'A256GCM' };
    return { token: await new CompactEncrypt(bytes(payload)).setProtectedHeader(header).encrypt(bytes(key)) };
  },
  async webPushEncrypt({ subscription, payload, vapid }) {
    const options = { contentEncoding: 'aes128gcm', TTL: 60, vapidDetails: vapid };
    const request = webPush.generateRequestDetails(subscription, bytes(payload), options);
    return { body: request.body.toString('base64url'), headers: request.headers };
  },
  async webPushDecrypt({ body, privateKey, auth }) {
    const receiver = createECDH('prime256v1');
    receiver.setPrivateKey(bytes(privateKey));
    const opened = ece.decrypt(bytes(body), { version: 'aes128gcm', privateKey: receiver, authSecret: auth });
    return { payload: opened.toString('base64url') };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { task, ...input } = JSON.parse(line);
  const answer = await tasks[task](input).catch((error) => ({ error: error.code ?? String(error) }));
  console.log(JSON.stringify(answer));
}
