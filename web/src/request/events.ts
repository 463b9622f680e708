/// Server-sent events out of a stream of bytes (HTML Living Standard, §9.2.6).

export interface ServerEvent {
  /// When it arrived.
  at: number;
  id: string;
  event: string;
  data: string;
}

/// Reads events however the bytes are cut.
export class EventReader {
  private readonly decoder = new TextDecoder();
  private rest = '';
  private data: string[] = [];
  private event = '';
  private id = '';

  /// The events that end within these bytes.
  read(bytes: Uint8Array, now = Date.now()): ServerEvent[] {
    const text = this.rest + this.decoder.decode(bytes, { stream: true });
    // A CR at the end may be half of a CRLF.
    const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\r|\n/);
    this.rest = (lines.pop() ?? '') + text.slice(whole.length);
    return lines.flatMap((line) => this.line(line, now));
  }

  private line(line: string, at: number): ServerEvent[] {
    if (line === '') {
      const found = this.data.length > 0 ? [{ at, id: this.id, event: this.event || 'message', data: this.data.join('\n') }] : [];
      this.data = [];
      this.event = '';
      return found;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') {
      this.data.push(value);
    } else if (name === 'event') {
      this.event = value;
    } else if (name === 'id') {
      this.id = value;
    }
    return [];
  }
}
