"""conf/sources/mimic_iv.yaml and mimic_iii.yaml on a few made-up rows in the columns that MIMIC documents."""

import pytest
from support.mapped import Read
from support.places import ROOT

from medspark.task.yaml_text import read_yaml

FOURTH = {
    "hosp/patients.csv": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n"
    "1,F,52,2150,2011 - 2013,2151-03-04\n2,M,91,2160,2011 - 2013,\n",
    "hosp/admissions.csv": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag\n"
    "1,10,2151-03-01 08:00:00,2151-03-04 10:00:00,2151-03-04 10:00:00,EW EMER.,P1,EMERGENCY ROOM,DIED,Other,English,"
    "MARRIED,WHITE,,,1\n",
    "hosp/diagnoses_icd.csv": "subject_id,hadm_id,seq_num,icd_code,icd_version\n1,10,1,4280,9\n",
    "hosp/procedures_icd.csv": "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version\n1,10,1,2151-03-02,3893,9\n",
    "hosp/labevents.csv": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,"
    "value,valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments\n"
    "7,1,10,5,50912,,2151-03-01 09:00:00,2151-03-01 10:30:00,3.1,3.1,mg/dL,0.4,1.1,abnormal,STAT,\n"
    "8,1,,6,51463,,2151-03-01 09:00:00,2151-03-01 10:30:00,___,,,,,,STAT,FEW.\n",
    "hosp/prescriptions.csv": "subject_id,hadm_id,starttime,stoptime,drug_type,drug\n"
    "1,10,2151-03-01 11:00:00,2151-03-04 10:00:00,MAIN,Furosemide\n",
    "icu/icustays.csv": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los\n"
    "1,10,100,CCU,MICU,2151-03-01 12:00:00,2151-03-03 12:00:00,2.0\n",
    "icu/chartevents.csv": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,"
    "warning\n1,10,100,,2151-03-01 13:00:00,2151-03-01 13:05:00,220045,88,88,bpm,0\n",
    "icu/inputevents.csv": "subject_id,hadm_id,stay_id,starttime,endtime,storetime,itemid,amount,amountuom,"
    "statusdescription\n1,10,100,2151-03-01 14:00:00,2151-03-01 15:00:00,2151-03-01 14:01:00,225158,50,ml,Stopped\n"
    "1,10,100,2151-03-01 14:00:00,2151-03-01 15:00:00,2151-03-01 14:01:00,225158,70,ml,Rewritten\n",
    "icu/outputevents.csv": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valueuom\n"
    "1,10,100,,2151-03-01 16:00:00,2151-03-01 16:05:00,226559,200,ml\n",
}
LEFT = "2151-03-04 10:00:00"
FOURTH_EVENTS = [
    # subject, code, time, number, text, unit, known
    (1, "ADMITTED_FROM/EMERGENCY ROOM", "2151-03-01 08:00:00", None, None, None, None),
    (1, "CHART/220045", "2151-03-01 13:00:00", 88.0, None, "bpm", "2151-03-01 13:05:00"),
    (1, "DIAGNOSIS/ICD9/4280", LEFT, None, None, None, None),
    (1, "DISCHARGED_TO/DIED", LEFT, None, None, None, None),
    (1, "DRUG/Furosemide", "2151-03-01 11:00:00", None, None, None, None),
    (1, "GENDER/F", None, None, None, None, None),
    (1, "ICU/CCU", "2151-03-01 12:00:00", None, None, None, None),
    (1, "ICU_END/MICU", "2151-03-03 12:00:00", None, None, None, None),
    (1, "INPUT/225158", "2151-03-01 14:00:00", 50.0, None, "ml", "2151-03-01 15:00:00"),
    (1, "LAB/50912", "2151-03-01 09:00:00", 3.1, None, "mg/dL", "2151-03-01 10:30:00"),
    (1, "LAB/51463", "2151-03-01 09:00:00", None, None, None, "2151-03-01 10:30:00"),
    (1, "MEDS_BIRTH", "2098-01-01 00:00:00", None, None, None, "2098-01-02 00:00:00"),
    (1, "MEDS_DEATH", LEFT, None, None, None, None),
    (1, "MEDS_DEATH", "2151-03-04 23:59:59", None, None, None, None),
    (1, "OUTPUT/226559", "2151-03-01 16:00:00", 200.0, None, "ml", "2151-03-01 16:05:00"),
    (1, "PROCEDURE/ICD9/3893", "2151-03-02 00:00:00", None, None, None, LEFT),
    (1, "RACE/WHITE", "2151-03-01 08:00:00", None, None, None, None),
    (1, "VISIT/EW EMER.", "2151-03-01 08:00:00", None, None, None, None),
    (1, "VISIT_END/EW EMER.", LEFT, None, None, None, None),
    (2, "GENDER/M", None, None, None, None, None),
    (2, "MEDS_BIRTH", "2069-01-01 00:00:00", None, None, None, "2069-01-02 00:00:00"),
]
THIRD = {
    "PATIENTS.csv": "ROW_ID,SUBJECT_ID,GENDER,DOB,DOD,DOD_HOSP,DOD_SSN,EXPIRE_FLAG\n"
    "1,1,F,2098-05-06 00:00:00,2151-03-04 00:00:00,2151-03-04 00:00:00,,1\n2,2,M,1860-03-01 00:00:00,,,,0\n",
    "ADMISSIONS.csv": "ROW_ID,SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,DEATHTIME,ADMISSION_TYPE,ADMISSION_LOCATION,"
    "DISCHARGE_LOCATION,INSURANCE,LANGUAGE,RELIGION,MARITAL_STATUS,ETHNICITY,EDREGTIME,EDOUTTIME,DIAGNOSIS,"
    "HOSPITAL_EXPIRE_FLAG,HAS_CHARTEVENTS_DATA\n"
    "1,1,10,2151-03-01 08:00:00,2151-03-04 10:00:00,,EMERGENCY,ROOM,HOME,Other,,,,WHITE,,,FEVER,0,1\n",
    "DIAGNOSES_ICD.csv": "ROW_ID,SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE\n1,1,10,1,4280\n2,1,10,,\n",
    "LABEVENTS.csv": "ROW_ID,SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG\n"
    "1,1,10,50912,2151-03-01 09:00:00,>20,,mg/dL,abnormal\n",
    "PRESCRIPTIONS.csv": "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,STARTDATE,ENDDATE,DRUG_TYPE,DRUG\n"
    "1,1,10,,2151-03-01 00:00:00,2151-03-04 00:00:00,MAIN,Furosemide\n",
    "CHARTEVENTS.csv": "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUENUM,VALUEUOM,"
    "WARNING,ERROR,RESULTSTATUS,STOPPED\n"
    "1,1,10,100,211,2151-03-01 13:00:00,2151-03-01 13:05:00,1,88,88,bpm,,1,,\n",
}
THIRD_EVENTS = [
    (1, "ADMITTED_FROM/ROOM", "2151-03-01 08:00:00", None, None, None, None),
    (1, "DIAGNOSIS/ICD9/4280", LEFT, None, None, None, None),
    (1, "DISCHARGED_TO/HOME", LEFT, None, None, None, None),
    (1, "DRUG/Furosemide", "2151-03-01 00:00:00", None, None, None, "2151-03-02 00:00:00"),
    (1, "ETHNICITY/WHITE", "2151-03-01 08:00:00", None, None, None, None),
    (1, "GENDER/F", None, None, None, None, None),
    (1, "LAB/50912", "2151-03-01 09:00:00", 20.0, ">20", "mg/dL", None),
    (1, "MEDS_BIRTH", "2098-05-06 00:00:00", None, None, None, None),
    (1, "MEDS_DEATH", "2151-03-04 23:59:59", None, None, None, None),
    (1, "VISIT/EMERGENCY", "2151-03-01 08:00:00", None, None, None, None),
    (1, "VISIT_END/EMERGENCY", LEFT, None, None, None, None),
    (2, "GENDER/M", None, None, None, None, None),
    (2, "MEDS_BIRTH", "2069-03-01 00:00:00", None, None, None, None),  # 300 years old at the first stay: 91
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "files", "events"), [
    ("mimic_iv", FOURTH, FOURTH_EVENTS),
    ("mimic_iii", THIRD, THIRD_EVENTS),
])  # fmt: skip
def test_each_table_of_mimic_becomes_its_events(read: Read, name: str, files: dict[str, str], events: list) -> None:
    mapping = read_yaml(ROOT / "conf" / "sources" / f"{name}.yaml")
    found = read(files, mapping["tables"], missing=mapping.get("missing", []))
    assert found.events == events
    assert found.aside == []
