//! What the chunks of a stream make together: the `chat.completion` that would have come in one piece.
//!
//! Fields that are known to come in pieces are put together, and so is any other text, list or object that comes
//! more than once in a delta; the rest is as it came last. So what nobody knows of is kept.

use serde_json::{Map, Value};

/// The chunks so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// What stands beside the choices.
    whole: Map<String, Value>,
    /// The choices, by their index.
    choices: Vec<Map<String, Value>>,
    /// How many bytes the chunks had.
    bytes: usize,
}

/// What a chunk says of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A piece of an answer.
    Piece,
    /// The upstream has failed; nothing more is to be expected.
    Error,
}

/// A chunk that is none: no object, or with more choices than anybody asks for.
#[derive(Debug, thiserror::Error)]
#[error("the upstream sent a chunk that is none")]
pub(crate) struct Strange;

/// How many choices an answer has at most.
const MOST_CHOICES: u64 = 1_024;

impl Assembly {
    /// Takes in a chunk.
    pub(crate) fn add(&mut self, data: &str) -> Result<Said, Strange> {
        self.bytes += data.len();
        let Ok(Value::Object(mut chunk)) = serde_json::from_str(data) else { return Err(Strange) };
        let choices = chunk.remove("choices");
        if choices.is_none() && chunk.contains_key("error") {
            return Ok(Said::Error);
        }
        for (name, value) in chunk {
            // Usage comes once, with the last chunk; before that it is `null`.
            if !value.is_null() || !self.whole.contains_key(&name) {
                self.whole.insert(name, value);
            }
        }
        for choice in choices.into_iter().flat_map(list) {
            let Value::Object(choice) = choice else { return Err(Strange) };
            self.add_choice(choice)?;
        }
        Ok(Said::Piece)
    }

    /// Takes in a piece of one choice.
    fn add_choice(&mut self, choice: Map<String, Value>) -> Result<(), Strange> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if index >= MOST_CHOICES {
            return Err(Strange);
        }
        let place = usize::try_from(index).map_err(|_| Strange)?;
        while self.choices.len() <= place {
            let mut new = Map::new();
            new.insert("index".to_owned(), self.choices.len().into());
            self.choices.push(new);
        }
        let Some(into) = self.choices.get_mut(place) else { return Err(Strange) };
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("delta", value) => merge(entry(into, "message"), value),
                ("logprobs", value) => merge(entry(into, "logprobs"), value),
                (_, Value::Null) if into.contains_key(&name) => {}
                (_, value) => drop(into.insert(name, value)),
            }
        }
        Ok(())
    }

    /// How many bytes the chunks had so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether every choice says why it is over: some servers close after that without a word.
    pub(crate) fn is_finished(&self) -> bool {
        let over = |choice: &Map<String, Value>| {
            choice.get("finish_reason").is_some_and(|it| !it.is_null())
        };
        !self.choices.is_empty() && self.choices.iter().all(over)
    }

    /// The whole; `None` if there is no message in it.
    pub(crate) fn finish(self) -> Option<Value> {
        let Self { mut whole, mut choices, .. } = self;
        choices.first()?.get("message").filter(|message| message.is_object())?;
        for choice in &mut choices {
            if let Some(Value::Object(message)) = choice.get_mut("message") {
                message.entry("role").or_insert_with(|| "assistant".into());
                message.entry("content").or_insert(Value::Null);
                drop_indexes(message);
            }
            choice.entry("finish_reason").or_insert(Value::Null);
        }
        whole.insert("object".to_owned(), "chat.completion".into());
        whole.insert("choices".to_owned(), choices.into_iter().map(Value::Object).collect());
        Some(Value::Object(whole))
    }
}

/// What stands under a name, to be added to.
fn entry<'a>(map: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    map.entry(name).or_insert(Value::Null)
}

/// The elements of a list.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    }
}

/// Adds a piece to what came before.
fn merge(into: &mut Value, piece: Value) {
    match (into, piece) {
        (_, Value::Null) => {}
        (Value::Object(into), Value::Object(piece)) => {
            for (name, value) in piece {
                match name.as_str() {
                    // These are said once, or again, but never in pieces.
                    "role" | "id" | "type" | "index" | "object" => {
                        drop(into.insert(name, value));
                    }
                    _ => merge(entry(into, &name), value),
                }
            }
        }
        (Value::String(into), Value::String(piece)) => into.push_str(&piece),
        (Value::Array(into), Value::Array(piece)) => {
            for element in piece {
                match placed(into, &element) {
                    Some(found) => merge(found, element),
                    None => into.push(element),
                }
            }
        }
        (into, piece) => *into = piece,
    }
}

/// The element of a list that a piece is of: the one with the same index.
fn placed<'a>(list: &'a mut [Value], piece: &Value) -> Option<&'a mut Value> {
    let index = piece.get("index")?;
    list.iter_mut().find(|element| element.get("index") == Some(index))
}

/// The tool calls of a whole answer have no index.
fn drop_indexes(message: &mut Map<String, Value>) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { return };
    calls.sort_by_key(|call| call.get("index").and_then(Value::as_u64).unwrap_or(0));
    for call in calls {
        if let Value::Object(call) = call {
            call.remove("index");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assemble(chunks: &[Value]) -> Option<Value> {
        let mut assembly = Assembly::default();
        for chunk in chunks {
            assert_eq!(assembly.add(&chunk.to_string()).unwrap(), Said::Piece);
        }
        assembly.finish()
    }

    #[test]
    fn text_tools_and_what_nobody_knows_are_put_together() {
        let chunks = [
            json!({"id": "c", "object": "chat.completion.chunk", "created": 7, "usage": null,
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}),
            json!({"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "He",
                "reasoning_content": "a"}, "logprobs": {"content": [{"token": "He"}]}}]}),
            json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "llo", "reasoning_content": "b",
                "tool_calls": [{"index": 0, "id": "t", "type": "function",
                    "function": {"name": "f", "arguments": "{\"x"}}]}, "logprobs": {"content": [{"token": "llo"}]}}]}),
            json!({"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0,
                "function": {"arguments": "\":1}"}}]}, "finish_reason": "tool_calls"}], "weights": 3}),
            json!({"id": "c", "choices": [], "usage": {"total_tokens": 5}}),
        ];
        let whole = json!({"id": "c", "object": "chat.completion", "created": 7, "weights": 3,
            "usage": {"total_tokens": 5}, "choices": [{"index": 0, "finish_reason": "tool_calls",
            "logprobs": {"content": [{"token": "He"}, {"token": "llo"}]},
            "message": {"role": "assistant", "content": "Hello", "reasoning_content": "ab",
                "tool_calls": [{"id": "t", "type": "function",
                    "function": {"name": "f", "arguments": "{\"x\":1}"}}]}}]});
        assert_eq!(assemble(&chunks).unwrap(), whole);
    }

    #[test]
    fn choices_go_by_their_index() {
        let chunks = [
            json!({"choices": [{"index": 1, "delta": {"content": "b"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}),
        ];
        let whole = assemble(&chunks).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "a");
        assert_eq!(whole["choices"][1]["message"]["content"], "b");
    }

    #[test]
    fn without_a_message_there_is_no_answer() {
        assert_eq!(assemble(&[]), None);
        assert_eq!(assemble(&[json!({"choices": []})]), None);
        assert_eq!(assemble(&[json!({"choices": [{"index": 0, "text": "a"}]})]), None);
    }

    #[test]
    fn an_error_and_nonsense_are_told_apart_from_pieces() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(r#"{"error": {"message": "no"}}"#).unwrap(), Said::Error);
        for nonsense in ["[]", "x", r#"{"choices": [3]}"#, r#"{"choices": [{"index": 99999}]}"#] {
            assert!(assembly.add(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn it_is_finished_when_every_choice_is() {
        let mut assembly = Assembly::default();
        assert!(!assembly.is_finished());
        assembly.add(r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}]}"#).unwrap();
        assert!(!assembly.is_finished());
        assembly.add(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#).unwrap();
        assert!(assembly.is_finished());
    }
}
