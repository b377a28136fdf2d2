"""Contains all the data models used in inputs/outputs"""

from .answer_candidates import AnswerCandidates
from .answer_distilled import AnswerDistilled
from .answer_list import AnswerList
from .answer_reset import AnswerReset
from .answer_token import AnswerToken
from .answer_use import AnswerUse
from .answered import Answered
from .attempt import Attempt
from .attempt_error_type_0 import AttemptErrorType0
from .audit_event import AuditEvent
from .audit_event_detail import AuditEventDetail
from .audit_list import AuditList
from .bank_list import BankList
from .bank_settings import BankSettings
from .bank_settings_on_failure import BankSettingsOnFailure
from .bank_summary import BankSummary
from .candidate import Candidate
from .candidates_event import CandidatesEvent
from .change_webhook import ChangeWebhook
from .change_webhook_events_item import ChangeWebhookEventsItem
from .create_key import CreateKey
from .create_key_scope import CreateKeyScope
from .create_webhook import CreateWebhook
from .create_webhook_events_item import CreateWebhookEventsItem
from .delivery import Delivery
from .delivery_list import DeliveryList
from .delivery_state import DeliveryState
from .derived import Derived
from .distilled_event import DistilledEvent
from .done_event import DoneEvent
from .edited import Edited
from .end_event import EndEvent
from .erased import Erased
from .error_event import ErrorEvent
from .event_type import EventType
from .fault import Fault
from .found import Found
from .found_memory import FoundMemory
from .health import Health
from .imported import Imported
from .imported_counts import ImportedCounts
from .ingestion import Ingestion
from .ingestion_end import IngestionEnd
from .key_list import KeyList
from .key_summary import KeySummary
from .list_turns_state import ListTurnsState
from .logged_operation import LoggedOperation
from .memory import Memory
from .memory_detail import MemoryDetail
from .memory_list import MemoryList
from .memory_version import MemoryVersion
from .model_call import ModelCall
from .new_key import NewKey
from .new_memory import NewMemory
from .new_webhook import NewWebhook
from .on_failure import OnFailure
from .operation_kind import OperationKind
from .operation_list import OperationList
from .operation_record import OperationRecord
from .order import Order
from .origin import Origin
from .post_turns import PostTurns
from .posted_receipt import PostedReceipt
from .posted_turn import PostedTurn
from .posted_turn_metadata import PostedTurnMetadata
from .problem import Problem
from .question import Question
from .ranked_memory import RankedMemory
from .receipt import Receipt
from .receipt_list import ReceiptList
from .receipt_removed import ReceiptRemoved
from .receipt_verified import ReceiptVerified
from .rejected_fact import RejectedFact
from .reset_event import ResetEvent
from .retried import Retried
from .revised_memory import RevisedMemory
from .role import Role
from .rotate_key import RotateKey
from .rotate_secret import RotateSecret
from .scope import Scope
from .search import Search
from .shown_memory import ShownMemory
from .source_turn import SourceTurn
from .state import State
from .tested import Tested
from .timings import Timings
from .token_event import TokenEvent
from .turn_error import TurnError
from .turn_event import TurnEvent
from .turn_list import TurnList
from .turn_origin import TurnOrigin
from .turn_progress import TurnProgress
from .undone import Undone
from .usage import Usage
from .used_memory import UsedMemory
from .verdict import Verdict
from .webhook_list import WebhookList
from .webhook_summary import WebhookSummary
from .why import Why

__all__ = (
    "AnswerCandidates",
    "AnswerDistilled",
    "Answered",
    "AnswerList",
    "AnswerReset",
    "AnswerToken",
    "AnswerUse",
    "Attempt",
    "AttemptErrorType0",
    "AuditEvent",
    "AuditEventDetail",
    "AuditList",
    "BankList",
    "BankSettings",
    "BankSettingsOnFailure",
    "BankSummary",
    "Candidate",
    "CandidatesEvent",
    "ChangeWebhook",
    "ChangeWebhookEventsItem",
    "CreateKey",
    "CreateKeyScope",
    "CreateWebhook",
    "CreateWebhookEventsItem",
    "Delivery",
    "DeliveryList",
    "DeliveryState",
    "Derived",
    "DistilledEvent",
    "DoneEvent",
    "Edited",
    "EndEvent",
    "Erased",
    "ErrorEvent",
    "EventType",
    "Fault",
    "Found",
    "FoundMemory",
    "Health",
    "Imported",
    "ImportedCounts",
    "Ingestion",
    "IngestionEnd",
    "KeyList",
    "KeySummary",
    "ListTurnsState",
    "LoggedOperation",
    "Memory",
    "MemoryDetail",
    "MemoryList",
    "MemoryVersion",
    "ModelCall",
    "NewKey",
    "NewMemory",
    "NewWebhook",
    "OnFailure",
    "OperationKind",
    "OperationList",
    "OperationRecord",
    "Order",
    "Origin",
    "PostedReceipt",
    "PostedTurn",
    "PostedTurnMetadata",
    "PostTurns",
    "Problem",
    "Question",
    "RankedMemory",
    "Receipt",
    "ReceiptList",
    "ReceiptRemoved",
    "ReceiptVerified",
    "RejectedFact",
    "ResetEvent",
    "Retried",
    "RevisedMemory",
    "Role",
    "RotateKey",
    "RotateSecret",
    "Scope",
    "Search",
    "ShownMemory",
    "SourceTurn",
    "State",
    "Tested",
    "Timings",
    "TokenEvent",
    "TurnError",
    "TurnEvent",
    "TurnList",
    "TurnOrigin",
    "TurnProgress",
    "Undone",
    "Usage",
    "UsedMemory",
    "Verdict",
    "WebhookList",
    "WebhookSummary",
    "Why",
)
