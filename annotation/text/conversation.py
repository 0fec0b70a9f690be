"""The conversation that a model is given for a prompt."""

Message = dict[str, str]


def conversation(text: str, chat: list[Message] | None, persona: str) -> list[Message]:
    """The messages for a model, [{"role", "content"}, …], the user's last.

    `chat` is the prompt's own list of messages where it has one, else `text` is the only message. The project's
    persona, where there is one, is the system message; a chat that has a system message of its own keeps it below
    the persona, because chat templates accept only one.
    """
    messages = list(chat or [{"role": "user", "content": text}])
    persona = persona.strip()
    if not persona:
        return messages
    if messages[0]["role"] == "system":
        persona = f"{persona}\n\n{messages.pop(0)['content']}"
    return [{"role": "system", "content": persona}, *messages]
