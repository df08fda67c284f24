"""What the synthetic hospital's patients have and get, as data: diagnoses, wards, drugs, laboratory tests.

The codes are ICD-10-CM's and LOINC's; how often each occurs is invented, near a general
hospital's. No row describes a person.
"""

from typing import Final, NamedTuple


class Chronic(NamedTuple):
    """A lasting condition: its share of patients aged 60, and how its log odds rise per decade."""

    code: str
    name: str
    share: float
    per_decade: float


CHRONIC: Final = (
    Chronic("I50.9", "Heart failure, unspecified", 0.13, 0.35),
    Chronic("J44.9", "Chronic obstructive pulmonary disease, unspecified", 0.13, 0.20),
    Chronic("N18.30", "Chronic kidney disease, stage 3 unspecified", 0.09, 0.35),
    Chronic("N18.4", "Chronic kidney disease, stage 4", 0.03, 0.30),
    Chronic("C34.90", "Malignant neoplasm of bronchus or lung", 0.025, 0.20),
    Chronic("C18.9", "Malignant neoplasm of colon, unspecified", 0.02, 0.25),
    Chronic("E11.9", "Type 2 diabetes mellitus without complications", 0.15, 0.20),
    Chronic("E11.65", "Type 2 diabetes mellitus with hyperglycemia", 0.05, 0.10),
    Chronic("E11.22", "Type 2 diabetes mellitus with diabetic chronic kidney disease", 0.04, 0.20),
    Chronic("K74.60", "Unspecified cirrhosis of liver", 0.02, 0.05),
    Chronic("I48.91", "Unspecified atrial fibrillation", 0.11, 0.50),
    Chronic("I25.10", "Atherosclerotic heart disease of native coronary artery", 0.16, 0.40),
    Chronic("F03.90", "Unspecified dementia, unspecified severity", 0.03, 0.70),
    Chronic("G30.9", "Alzheimer's disease, unspecified", 0.02, 0.70),
    Chronic("F10.20", "Alcohol dependence, uncomplicated", 0.03, -0.20),
    Chronic("F32.A", "Depression, unspecified", 0.09, -0.05),
    Chronic("C50.919", "Malignant neoplasm of unspecified site of unspecified female breast", 0.015, 0.15),
    Chronic("I73.9", "Peripheral vascular disease, unspecified", 0.04, 0.30),
    Chronic("Z86.73", "Personal history of transient ischemic attack", 0.04, 0.40),
    Chronic("Z79.4", "Long term (current) use of insulin", 0.05, 0.10),
    Chronic("G40.909", "Epilepsy, unspecified, not intractable", 0.02, -0.10),
    Chronic("J45.909", "Unspecified asthma, uncomplicated", 0.06, -0.10),
    Chronic("E03.9", "Hypothyroidism, unspecified", 0.07, 0.15),
    Chronic("M81.0", "Age-related osteoporosis without current pathological fracture", 0.04, 0.50),
    Chronic("E66.9", "Obesity, unspecified", 0.12, -0.10),
    Chronic("I10", "Essential (primary) hypertension", 0.40, 0.35),
    Chronic("E78.5", "Hyperlipidemia, unspecified", 0.28, 0.25),
    Chronic("F17.210", "Nicotine dependence, cigarettes, uncomplicated", 0.14, -0.15),
)

WARDS: Final = {
    "internal medicine": 0.32,
    "surgery": 0.22,
    "cardiology": 0.17,
    "pulmonology": 0.13,
    "neurology": 0.09,
    "oncology": 0.07,
}
"""Share of the admissions by ward."""

ACUTE: Final = {
    "internal medicine": (
        ("A41.9", "Sepsis"),
        ("N39.0", "Urinary tract infection"),
        ("E86.0", "Dehydration"),
        ("N17.9", "Acute kidney failure"),
        ("K92.2", "Gastrointestinal bleeding"),
        ("L03.115", "Cellulitis of right lower limb"),
    ),
    "surgery": (
        ("K80.20", "Gallstones"),
        ("K35.80", "Acute appendicitis"),
        ("S72.001A", "Fracture of right femur"),
        ("K56.609", "Intestinal obstruction"),
        ("K40.90", "Inguinal hernia"),
        ("T81.40XA", "Infection following a procedure"),
    ),
    "cardiology": (
        ("I21.4", "Myocardial infarction without ST elevation"),
        ("R07.9", "Chest pain"),
        ("I48.0", "Paroxysmal atrial fibrillation"),
        ("I20.0", "Unstable angina"),
        ("R55", "Syncope"),
        ("I26.99", "Pulmonary embolism"),
    ),
    "pulmonology": (
        ("J18.9", "Pneumonia"),
        ("J44.1", "Exacerbation of COPD"),
        ("J96.01", "Acute respiratory failure with hypoxia"),
        ("J20.9", "Acute bronchitis"),
        ("J90", "Pleural effusion"),
        ("U07.1", "COVID-19"),
    ),
    "neurology": (
        ("I63.9", "Cerebral infarction"),
        ("G45.9", "Transient ischaemic attack"),
        ("R56.9", "Convulsions"),
        ("H81.09", "Ménière's disease"),
        ("G35", "Multiple sclerosis"),
        ("G61.0", "Guillain-Barré syndrome"),
    ),
    "oncology": (
        ("Z51.11", "Antineoplastic chemotherapy"),
        ("D70.9", "Neutropenia"),
        ("C79.51", "Secondary malignant neoplasm of bone"),
        ("R11.2", "Nausea with vomiting"),
        ("C78.00", "Secondary malignant neoplasm of lung"),
        ("D64.81", "Anemia due to chemotherapy"),
    ),
}
"""What brings patients to each ward (code, reason), the most frequent first."""

ACUTE_SHARES: Final = (0.34, 0.24, 0.16, 0.12, 0.08, 0.06)


class Drug(NamedTuple):
    """A drug: the share of stays in which it is given, and the condition with which three in four get it."""

    name: str
    share: float
    treats: str | None = None


DRUGS: Final = (
    Drug("paracetamol", 0.55),
    Drug("pantoprazole", 0.40),
    Drug("enoxaparin", 0.35),
    Drug("ceftriaxone", 0.18),
    Drug("oxycodone", 0.15),
    Drug("prednisolone", 0.12),
    Drug("metformin", 0.02, "E11.9"),
    Drug("insulin glargine", 0.02, "Z79.4"),
    Drug("furosemide", 0.05, "I50.9"),
    Drug("bisoprolol", 0.08, "I25.10"),
    Drug("lisinopril", 0.05, "I10"),
    Drug("amlodipine", 0.04, "I10"),
    Drug("aspirin", 0.08, "I25.10"),
    Drug("atorvastatin", 0.06, "E78.5"),
    Drug("apixaban", 0.03, "I48.91"),
    Drug("salbutamol", 0.05, "J44.9"),
    Drug("tiotropium", 0.02, "J44.9"),
    Drug("levothyroxine", 0.01, "E03.9"),
    Drug("sertraline", 0.02, "F32.A"),
    Drug("donepezil", 0.01, "G30.9"),
)

DIAGNOSES: Final = ("diag_1", "diag_2", "diag_3", "diag_4", "diag_5")
"""The flat extract's columns: what the patient came for, then lasting conditions."""

ADMISSION_TYPES: Final = {"emergency": 0.56, "urgent": 0.16, "elective": 0.28}
DISCHARGES: Final = {
    "home": 0.66,
    "home care": 0.14,
    "nursing home": 0.12,
    "rehabilitation": 0.06,
    "against advice": 0.02,
}
"""Where those go who leave alive; the others' destination is `DIED`."""
DIED: Final = "died"


class Lab(NamedTuple):
    """A laboratory test: its LOINC code, OMOP concept, unit and that unit's OMOP concept."""

    name: str
    loinc: str
    title: str
    concept_id: int
    unit: str
    unit_concept_id: int


LABS: Final = (
    Lab("creatinine", "2160-0", "Creatinine [Mass/volume] in Serum or Plasma", 3016723, "mg/dL", 8840),
    Lab("hba1c", "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 3004410, "%", 8554),
    Lab("haemoglobin", "718-7", "Hemoglobin [Mass/volume] in Blood", 3000963, "g/dL", 8713),
    Lab("sodium", "2951-2", "Sodium [Moles/volume] in Serum or Plasma", 3019550, "mmol/L", 8753),
)


class Test(NamedTuple):
    """A test of the laboratory's panel; its values are spread as a lognormal's."""

    name: str
    unit: str
    share: float
    """Of the times that blood is drawn."""
    digits: int
    """After the decimal point."""
    spread: float
    """Between patients: the standard deviation of the logarithm."""
    typical: float | None = None
    """None where the flat extract has the test: its value is the stay's own."""
    worse: float = 0.0
    """By how many spreads it moves with each standard deviation of the patient's severity."""


PANEL: Final = (
    Test("creatinine", "mg/dL", 0.36, 2, 0.30),
    Test("hba1c", "%", 0.0, 1, 0.12),
    Test("haemoglobin", "g/dL", 0.36, 1, 0.10),
    Test("sodium", "mmol/L", 0.36, 0, 0.02),
    Test("potassium", "mmol/L", 0.36, 1, 0.09, 4.2, 0.1),
    Test("chloride", "mmol/L", 0.26, 0, 0.03, 103, -0.1),
    Test("bicarbonate", "mmol/L", 0.22, 0, 0.10, 25, -0.2),
    Test("urea", "mmol/L", 0.34, 1, 0.45, 6.2, 0.3),
    Test("glucose", "mmol/L", 0.36, 1, 0.25, 6.6, 0.2),
    Test("leukocytes", "10*9/L", 0.38, 1, 0.35, 8.4, 0.3),
    Test("platelets", "10*9/L", 0.36, 0, 0.30, 245, -0.1),
    Test("haematocrit", "L/L", 0.30, 2, 0.11, 0.39, -0.3),
    Test("erythrocytes", "10*12/L", 0.12, 2, 0.12, 4.3, -0.3),
    Test("mean cell volume", "fL", 0.12, 0, 0.06, 90, 0.1),
    Test("c-reactive protein", "mg/L", 0.36, 0, 0.90, 22, 0.4),
    Test("calcium", "mmol/L", 0.16, 2, 0.05, 2.28, -0.2),
    Test("magnesium", "mmol/L", 0.16, 2, 0.11, 0.82, -0.1),
    Test("phosphate", "mmol/L", 0.14, 2, 0.22, 1.08, 0.1),
    Test("albumin", "g/L", 0.16, 0, 0.13, 36, -0.5),
    Test("total protein", "g/L", 0.06, 0, 0.10, 67, -0.2),
    Test("bilirubin", "umol/L", 0.16, 0, 0.55, 10, 0.2),
    Test("alanine aminotransferase", "U/L", 0.18, 0, 0.60, 27, 0.2),
    Test("aspartate aminotransferase", "U/L", 0.16, 0, 0.55, 29, 0.2),
    Test("alkaline phosphatase", "U/L", 0.15, 0, 0.40, 86, 0.2),
    Test("gamma-glutamyltransferase", "U/L", 0.14, 0, 0.75, 42, 0.2),
    Test("lactate dehydrogenase", "U/L", 0.14, 0, 0.32, 215, 0.3),
    Test("creatine kinase", "U/L", 0.06, 0, 0.70, 95, 0.1),
    Test("lipase", "U/L", 0.04, 0, 0.60, 34),
    Test("neutrophils", "10*9/L", 0.10, 1, 0.40, 5.8, 0.3),
    Test("lymphocytes", "10*9/L", 0.10, 1, 0.40, 1.5, -0.3),
    Test("monocytes", "10*9/L", 0.10, 2, 0.35, 0.65, 0.1),
    Test("eosinophils", "10*9/L", 0.10, 2, 0.80, 0.12, -0.1),
    Test("basophils", "10*9/L", 0.10, 2, 0.50, 0.04),
    Test("reticulocytes", "10*9/L", 0.02, 0, 0.40, 62),
    Test("prothrombin time", "s", 0.08, 1, 0.16, 12.4, 0.2),
    Test("inr", "1", 0.12, 1, 0.22, 1.2, 0.2),
    Test("activated partial thromboplastin time", "s", 0.08, 0, 0.18, 31, 0.1),
    Test("fibrinogen", "g/L", 0.03, 1, 0.30, 3.8, 0.2),
    Test("d-dimer", "ug/mL", 0.04, 2, 0.90, 0.85, 0.3),
    Test("troponin t", "ng/L", 0.09, 0, 0.95, 18, 0.4),
    Test("nt-probnp", "ng/L", 0.05, 0, 1.10, 480, 0.5),
    Test("lactate", "mmol/L", 0.09, 1, 0.42, 1.5, 0.4),
    Test("procalcitonin", "ug/L", 0.04, 2, 1.10, 0.18, 0.4),
    Test("ph", "1", 0.07, 2, 0.006, 7.39, -0.3),
    Test("carbon dioxide pressure", "kPa", 0.07, 1, 0.17, 5.4, 0.1),
    Test("oxygen pressure", "kPa", 0.07, 1, 0.25, 10.4, -0.2),
    Test("osmolality", "mmol/kg", 0.02, 0, 0.03, 291, 0.1),
    Test("uric acid", "mmol/L", 0.02, 2, 0.28, 0.36, 0.2),
    Test("ammonia", "umol/L", 0.01, 0, 0.45, 34, 0.2),
    Test("iron", "umol/L", 0.02, 0, 0.55, 10, -0.2),
    Test("ferritin", "ug/L", 0.03, 0, 0.95, 150, 0.2),
    Test("transferrin", "g/L", 0.02, 1, 0.20, 2.2, -0.3),
    Test("vitamin b12", "pmol/L", 0.02, 0, 0.45, 280),
    Test("folate", "nmol/L", 0.02, 0, 0.45, 18, -0.1),
    Test("vitamin d", "nmol/L", 0.01, 0, 0.45, 52, -0.2),
    Test("thyrotropin", "mU/L", 0.04, 2, 0.65, 1.8),
    Test("free thyroxine", "pmol/L", 0.02, 1, 0.17, 16),
    Test("cholesterol", "mmol/L", 0.02, 1, 0.25, 4.5, -0.2),
    Test("triglycerides", "mmol/L", 0.02, 1, 0.48, 1.4),
    Test("cortisol", "nmol/L", 0.01, 0, 0.42, 410, 0.2),
)
"""What the laboratory measures several times a stay, in the MEDS events; the flat extract's tests are among them."""

MG_DL: Final = "mg/dL"
UMOL_L: Final = "umol/L"
MG_DL_PER_UMOL_L: Final = 0.01131
"""Creatinine: 113.12 g/mol."""
