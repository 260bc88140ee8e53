import { randomUUID } from "node:crypto";
import type * as http from "node:http";
import { text } from "node:stream/consumers";
import type { Message } from "../../lambda/notification";

export interface TopicOptions {
  readonly arn: string;
  /** Requests must name it; signatures are not verified. */
  readonly accessKeyId: string;
  /** Called with each message, as a subscriber would be. */
  readonly onMessage: (message: Message) => void;
}

/** An SNS topic for local use: keeps what is published to it. Of SNS it knows Publish and nothing else. */
export class Topic {
  private readonly published: Message[] = [];

  constructor(private readonly options: TopicOptions) {}

  /** What was published so far, oldest first. */
  get messages(): readonly Message[] {
    return this.published;
  }

  publish(message: Message): void {
    this.published.push(message);
    this.options.onMessage(message);
  }

  /** Whether a request is in AWS's query protocol, which SNS speaks and S3 does not. */
  takes({ headers }: http.IncomingMessage): boolean {
    return headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
  }

  async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const refusal = this.refusal(request, form);
    const body = refusal
      ? `<ErrorResponse><Error><Type>Sender</Type><Code>${refusal}</Code></Error></ErrorResponse>`
      : `<PublishResponse><PublishResult><MessageId>${randomUUID()}</MessageId></PublishResult></PublishResponse>`;
    if (!refusal) this.publish({ subject: form.get("Subject") ?? "", text: form.get("Message") as string });
    response.writeHead(refusal ? 400 : 200, { "content-type": "text/xml" }).end(body);
  }

  private refusal(request: http.IncomingMessage, form: URLSearchParams): string | undefined {
    if (!request.headers.authorization?.includes(`Credential=${this.options.accessKeyId}/`)) {
      return "InvalidClientTokenId";
    }
    if (form.get("Action") !== "Publish") return "InvalidAction";
    if (form.get("TopicArn") !== this.options.arn) return "NotFound";
    const isSubject = /^[ -~]{0,99}$/.test(form.get("Subject") ?? "");
    return isSubject && form.get("Message") ? undefined : "InvalidParameter";
  }
}
