/// The page's end of the worker that reads one body.
import type { Ask, Lines, Opened } from './body.worker';
import type { Node } from './lines';

type Question = Ask extends infer Each ? (Each extends Ask ? Omit<Each, 'id'> : never) : never;

export class BodyReader {
  private readonly worker = new Worker(new URL('./body.worker.ts', import.meta.url), { type: 'module' });
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  private next = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<{ id: number; value?: unknown; error?: string }>) => {
      const asked = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error !== undefined) {
        asked?.reject(new Error(data.error));
      } else {
        asked?.resolve(data.value as never);
      }
    };
  }

  open(body: Blob, charset: string): Promise<Opened> {
    return this.ask({ ask: 'open', body, charset });
  }

  lines(pretty: boolean): Promise<Lines> {
    return this.ask({ ask: 'lines', pretty });
  }

  find(pretty: boolean, wanted: string): Promise<number[]> {
    return this.ask({ ask: 'find', pretty, wanted });
  }

  children(path: number[], from: number, most: number): Promise<Node[]> {
    return this.ask({ ask: 'children', path, from, most });
  }

  close(): void {
    this.worker.terminate();
    this.waiting.clear();
  }

  private ask<T>(question: Question): Promise<T> {
    const id = (this.next += 1);
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...question, id });
    });
  }
}
