"""The conversation that a model is given for a prompt."""

from annotation.text.conversation import conversation

USER = {"role": "user", "content": "Is there a pool?"}
PERSONA = "You are the concierge.\n"


def test_the_persona_is_the_system_message():
    system = {"role": "system", "content": "You are the concierge."}
    assert conversation(USER["content"], None, PERSONA) == [system, USER]
    assert conversation(USER["content"], None, "") == [USER]


def test_a_chat_keeps_its_own_system_message_below_the_persona():
    chat = [{"role": "system", "content": "Be brief."}, USER]
    system = {"role": "system", "content": "You are the concierge.\n\nBe brief."}
    assert conversation(USER["content"], chat, PERSONA) == [system, USER]
    assert conversation(USER["content"], chat, "") == chat
    assert chat == [{"role": "system", "content": "Be brief."}, USER], "the prompt itself is untouched"
