-- What became of an allocation: indemnities asked for and jobs reported, one row each.
select
    indemnisation_id as evenement_id,
    'indemnisation' as nature,
    attribution_id,
    demandee_le as survenu_le,
    payee_le,
    montant,
    cast(null as {{ dbt.type_int() }}) as emplois_crees,
    cast(null as {{ dbt.type_int() }}) as emplois_femmes,
    _logical_date as exportee_le
from {{ source('raw_sig', 'indemnisations') }}

union all

select
    declaration_id,
    'emploi',
    attribution_id,
    declaree_le,
    cast(null as date),
    cast(null as {{ dbt.type_numeric() }}),
    cast(emplois_crees as {{ dbt.type_int() }}),
    cast(emplois_femmes as {{ dbt.type_int() }}),
    _logical_date
from {{ source('raw_sig', 'emplois') }}
