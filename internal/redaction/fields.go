package redaction

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Class names a part of what an outcome says of people.
type Class string

// The classes. Groups lists the fields of each.
const (
	// Transcript is what was said, and where it can be heard.
	Transcript Class = "transcript"
	// Numbers is every telephone number and SIP URI.
	Numbers Class = "numbers"
	// Names is what people are called, and their e-mail addresses.
	Names Class = "names"
	// ExtractedFields is what was learnt of somebody, and what the customer attached to the call.
	ExtractedFields Class = "extracted_fields"
)

// What is no part of a class, because it says nothing of a person as long as a provider keeps to what the field is for.
const (
	// texts are names and descriptions by the customer or the platform. What another class removes may be mentioned in them, and
	// is removed there.
	texts Class = "texts"
	// words are ids of other things than the call, and words of closed sets. A number or an e-mail address is removed from them, a
	// name is not: there are contacts called `Customer`.
	words Class = "words"
	// identity is what the outcome is found by, measures, and what callnorm itself says. It always stays as it is.
	identity Class = "identity"
)

// Group is a class and its fields.
type Group struct {
	// Class is the class.
	Class Class
	// Says tells what its fields say of people.
	Says string
	// Fields names the fields.
	Fields []protoreflect.FullName
}

// Groups lists the classes with their fields, for documentation.
func Groups() []Group {
	list := slices.Clone(groups)
	for i := range list {
		list[i].Fields = slices.Clone(list[i].Fields)
	}
	return list
}

var groups = []Group{
	{
		Class: Transcript,
		Says:  "what was said, written or pressed, what the agent's tools were told and answered, and the addresses of recordings and messages",
		Fields: []protoreflect.FullName{
			"callnorm.v1.Transcript.text",
			"callnorm.v1.TranscriptTurn.text",
			"callnorm.v1.TranscriptTurn.original_text",
			"callnorm.v1.TranscriptTurn.prompt",
			"callnorm.v1.TranscriptWord.text",
			"callnorm.v1.Voicemail.message_text",
			"callnorm.v1.Voicemail.recording_uri",
			"callnorm.v1.Recording.uri",
			"callnorm.v1.Message.text",
			"callnorm.v1.Message.uri",
			"callnorm.v1.KeyPress.digits",
			"callnorm.v1.ToolCall.arguments_json",
			"callnorm.v1.ToolCall.result_json",
			"callnorm.v1.ToolCall.error",
		},
	},
	{
		Class: Numbers,
		Says: "every telephone number, whoever's it is (region, validity and the kind of line stay), and SIP URIs; " +
			"wherever else they are mentioned they are removed, too",
		Fields: []protoreflect.FullName{
			"callnorm.v1.PhoneNumber.as_received",
			"callnorm.v1.PhoneNumber.e164",
			"callnorm.v1.Endpoint.sip_uri",
		},
	},
	{
		Class: Names,
		Says: "what contacts, callers, participants and targets of transfers are called, and their e-mail addresses; " +
			"wherever else they are mentioned they are removed, too. The names of agents, campaigns and environments stay",
		Fields: []protoreflect.FullName{
			"callnorm.v1.Contact.display_name",
			"callnorm.v1.Contact.emails",
			"callnorm.v1.Endpoint.display_name",
			"callnorm.v1.Participant.display_name",
			"callnorm.v1.Participant.email",
			"callnorm.v1.Meeting.email",
			"callnorm.v1.Transfer.target_name",
		},
	},
	{
		Class: ExtractedFields,
		Says: "what was learnt or judged of somebody (the values and reasons of extracted fields, evaluations, dispositions, ends and " +
			"transfers, and the analysis), and the values of variables, metadata, attributes and details of meetings",
		Fields: []protoreflect.FullName{
			"callnorm.v1.Value.string_value",
			"callnorm.v1.Value.number_value",
			"callnorm.v1.Value.bool_value",
			"callnorm.v1.Value.json_value",
			"callnorm.v1.ExtractedField.class_raw",
			"callnorm.v1.ExtractedField.rationale",
			"callnorm.v1.Evaluation.rationale",
			"callnorm.v1.Evaluation.evidence",
			"callnorm.v1.Disposition.rationale",
			"callnorm.v1.CallEnd.detail",
			"callnorm.v1.Transfer.reason",
			"callnorm.v1.Analysis.title",
			"callnorm.v1.Analysis.summary",
			"callnorm.v1.Analysis.topics",
			"callnorm.v1.Analysis.next_steps",
			"callnorm.v1.Analysis.feedback",
		},
	},
}

// others are the fields that belong to no class.
var others = []Group{
	{
		Class: texts,
		Says:  "names and descriptions by the customer or the platform",
		Fields: []protoreflect.FullName{
			"callnorm.v1.CallError.message",
			"callnorm.v1.Disposition.goal_description",
			"callnorm.v1.NamedValue.name",
			"callnorm.v1.ExtractedField.name",
			"callnorm.v1.ExtractedField.question",
			"callnorm.v1.Evaluation.criterion",
			"callnorm.v1.Evaluation.evaluator",
			"callnorm.v1.ToolCall.tool",
			"callnorm.v1.ToolCall.description",
			"callnorm.v1.Agent.display_name",
			"callnorm.v1.Agent.node_path",
			"callnorm.v1.Agent.environment",
			"callnorm.v1.Agent.other_agents",
			"callnorm.v1.Campaign.display_name",
			"callnorm.v1.Compliance.consent_method",
			"callnorm.v1.Compliance.redacted_fields",
		},
	},
	{
		Class: words,
		Says:  "ids of other things than the call, and words of closed sets",
		Fields: []protoreflect.FullName{
			"callnorm.v1.CallOutcome.event_raw",
			"callnorm.v1.CallOutcome.direction_raw",
			"callnorm.v1.CallOutcome.channel_raw",
			"callnorm.v1.CallOutcome.status_raw",
			"callnorm.v1.CallEnd.reason_raw",
			"callnorm.v1.CallEnd.ended_by_raw",
			"callnorm.v1.AnsweredBy.raw",
			"callnorm.v1.Disposition.raw",
			"callnorm.v1.Disposition.goal_raw",
			"callnorm.v1.CallError.code",
			"callnorm.v1.PhoneNumber.line_type_raw",
			"callnorm.v1.PhoneNumber.stir_attestation",
			"callnorm.v1.Contact.id",
			"callnorm.v1.Contact.country",
			"callnorm.v1.Participant.id",
			"callnorm.v1.Participant.role_raw",
			"callnorm.v1.Agent.id",
			"callnorm.v1.Agent.version",
			"callnorm.v1.Agent.workflow_id",
			"callnorm.v1.Agent.workspace_id",
			"callnorm.v1.Agent.llm_model",
			"callnorm.v1.Agent.tts_voice",
			"callnorm.v1.Agent.stt_model",
			"callnorm.v1.Campaign.id",
			"callnorm.v1.Campaign.record_id",
			"callnorm.v1.CallLeg.id",
			"callnorm.v1.CallLeg.kind_raw",
			"callnorm.v1.CallLeg.status_raw",
			"callnorm.v1.Transcript.source",
			"callnorm.v1.Transcript.redaction",
			"callnorm.v1.TranscriptTurn.role_raw",
			"callnorm.v1.TranscriptTurn.participant_id",
			"callnorm.v1.TranscriptTurn.tool_call_ids",
			"callnorm.v1.Recording.id",
			"callnorm.v1.Recording.kind_raw",
			"callnorm.v1.Recording.content_type",
			"callnorm.v1.Recording.status_raw",
			"callnorm.v1.ToolCall.id",
			"callnorm.v1.ToolCall.kind_raw",
			"callnorm.v1.ToolCall.status_raw",
			"callnorm.v1.KeyPress.participant_id",
			"callnorm.v1.Message.id",
			"callnorm.v1.Message.kind_raw",
			"callnorm.v1.Message.status_raw",
			"callnorm.v1.Meeting.id",
			"callnorm.v1.Meeting.status_raw",
			"callnorm.v1.Transfer.kind_raw",
			"callnorm.v1.Transfer.result_raw",
			"callnorm.v1.ExtractedField.type_raw",
			"callnorm.v1.ExtractedField.source",
			"callnorm.v1.ExtractedField.group_id",
			"callnorm.v1.Analysis.success_raw",
			"callnorm.v1.Sentiment.raw",
			"callnorm.v1.Evaluation.id",
			"callnorm.v1.Evaluation.result_raw",
			"callnorm.v1.CostLine.component_raw",
			"callnorm.v1.CostLine.unit",
			"callnorm.v1.CostLine.model",
			"callnorm.v1.Compliance.jurisdiction",
		},
	},
	{
		Class: identity,
		Says:  "what the outcome is found by, measures, and what callnorm itself says",
		Fields: []protoreflect.FullName{
			"callnorm.v1.CallOutcome.name",
			"callnorm.v1.CallOutcome.provider",
			"callnorm.v1.CallOutcome.source",
			"callnorm.v1.CallOutcome.provider_call_id",
			"callnorm.v1.CallOutcome.parent_call_id",
			"callnorm.v1.CallOutcome.time_zone",
			"callnorm.v1.ExternalId.system",
			"callnorm.v1.ExternalId.id",
			"callnorm.v1.PhoneNumber.region",
			"callnorm.v1.Contact.time_zone",
			"callnorm.v1.Contact.language_code",
			"callnorm.v1.Transcript.language_code",
			"callnorm.v1.TranscriptTurn.language_code",
			"callnorm.v1.Analysis.language_code",
			"callnorm.v1.Money.currency_code",
			"callnorm.v1.Money.amount",
			"callnorm.v1.Cost.credits",
			"callnorm.v1.CostLine.units",
			"callnorm.v1.Provenance.adapter",
			"callnorm.v1.Provenance.adapter_version",
			"callnorm.v1.Provenance.derived_fields",
			"callnorm.v1.Provenance.redacted_classes",
			"callnorm.v1.Provenance.FieldSourcesEntry.key",
			"callnorm.v1.Provenance.FieldSourcesEntry.value",
			"callnorm.v1.DeliveryRef.delivery",
			"callnorm.v1.DeliveryRef.body_sha256",
			"callnorm.v1.DeliveryRef.event_raw",
			"callnorm.v1.DeliveryRef.verified_by",
			"callnorm.v1.DeliveryRef.signed_parts",
			"callnorm.v1.DeliveryRef.adapter_version",
			"callnorm.v1.Warning.path",
			"callnorm.v1.Warning.message",
			"callnorm.v1.UnmappedField.path",
			"callnorm.v1.UnmappedField.value_json", // redacted as a whole by any policy
		},
	},
}

// classOf finds the class of a field.
var classOf = index(groups, others)

func index(lists ...[]Group) map[protoreflect.FullName]Class {
	classes := make(map[protoreflect.FullName]Class)
	for _, list := range lists {
		for _, group := range list {
			for _, field := range group.Fields {
				classes[field] = group.Class
			}
		}
	}
	return classes
}
